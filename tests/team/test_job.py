"""`job.sh` passes on what a cluster asks, and leaves a checkout in which the next job can run."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from conftest import ROOT
from team.parts import until

pytestmark = pytest.mark.slow

JOB = ROOT / "docs/team/job.sh"
RWLOCK = '{"write": {"data/models": {"pid": 1, "cmd": "dvc repro"}}, "read": {}}'
# As DVC and a stage of it: the child writes something at Ctrl-C, and takes its time; the parent
# waits for it.
STAGE = """
import os, signal, subprocess, sys, time
child = '''
import time
print("trains", flush=True)
try:
    time.sleep(100)
except KeyboardInterrupt:
    time.sleep(1)
    open("checkpoint", "w").close()
    raise SystemExit(130)
'''
stage = subprocess.Popen([sys.executable, "-c", child])
signal.signal(signal.SIGINT, signal.SIG_IGN)
open("dvc.pid", "w").write(str(os.getpid()))
raise SystemExit(255 if stage.wait() else 0)
"""


@pytest.fixture
def checkout(tmp_path) -> Path:
    (tmp_path / ".dvc").mkdir()
    return tmp_path


def job(checkout: Path, *command: str) -> subprocess.CompletedProcess:
    return subprocess.run([JOB, *command], cwd=checkout, capture_output=True, text=True)


@pytest.fixture
def under_way(checkout):
    """Return a job whose stage trains."""
    output = checkout / "output.txt"
    with output.open("w") as told:
        process = subprocess.Popen(
            [JOB, sys.executable, "-c", STAGE], cwd=checkout, stdout=told, stderr=told
        )
    until(lambda: "trains" in output.read_text(), process, output)
    yield process
    process.kill()


@pytest.mark.parametrize("code", [0, 3, 255])
def test_a_job_ends_as_its_command(checkout, code):
    assert job(checkout, "bash", "-c", f"exit {code}").returncode == code
    assert (checkout / ".dvc/tmp/job").read_text() == ""


@pytest.mark.parametrize("asked", [signal.SIGTERM, signal.SIGINT])
def test_a_job_that_is_asked_to_end_waits_for_the_checkpoint(checkout, under_way, asked):
    under_way.send_signal(asked)
    assert under_way.wait(30) == 128 + signal.SIGTERM
    assert (checkout / "checkpoint").exists()


def test_a_job_whose_dvc_was_killed_waits_for_what_it_has_started(checkout, under_way):
    os.kill(int((checkout / "dvc.pid").read_text()), signal.SIGTERM)
    time.sleep(1)
    assert under_way.poll() is None, "what DVC has started is under way yet"
    under_way.send_signal(signal.SIGTERM)
    assert under_way.wait(30) == 128 + signal.SIGTERM
    assert (checkout / "checkpoint").exists()


def test_the_job_after_one_that_was_killed_forgets_its_claims(checkout):
    claims = checkout / ".dvc/tmp/rwlock"
    assert job(checkout, "bash", "-c", "kill -9 $$").returncode == 128 + signal.SIGKILL
    claims.write_text(RWLOCK)
    assert "the job before was killed" in job(checkout, "true").stdout
    assert not claims.exists()


def test_claims_of_a_command_that_was_typed_by_hand_are_kept(checkout):
    job(checkout, "true")
    claims = checkout / ".dvc/tmp/rwlock"
    claims.write_text(RWLOCK)
    job(checkout, "true")
    assert claims.read_text() == RWLOCK


def test_a_second_job_in_a_checkout_is_refused(checkout, under_way):
    refused = job(checkout, "true")
    assert refused.returncode == 2
    assert f"another job runs in {checkout} (process {under_way.pid} on " in refused.stderr
    assert under_way.poll() is None


def test_a_job_elsewhere_is_refused(tmp_path):
    refused = job(tmp_path, "true")
    assert refused.returncode == 2
    assert "a job runs in the project's root" in refused.stderr
