"""The scripts of docs/team/ run in a real SLURM, as the page says."""

import hashlib
import re
from collections.abc import Iterator

import pytest

from conftest import Checkout
from team.cluster import Cluster, needs_slurm, slurm, wait_for
from team.parts import open_folder, said

pytestmark = [pytest.mark.slow, pytest.mark.long, needs_slurm]

SECTION = "Long trainings: SLURM"
TOY = "pipeline/toy/dvc.yaml"
PARAMS = "pipeline/toy/params.yaml"


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with open_folder() as folder, slurm(folder) as cluster:
        yield cluster


@pytest.fixture
def study(toy_study, tmp_path) -> Checkout:
    return toy_study.copy(tmp_path / "project")


def commit(study: Checkout, **epochs: int) -> None:
    """Let variants of addition train longer; what is committed is what a cluster trains."""
    for variant, number in epochs.items():
        start = f"  {variant}: {{task: addition"
        study.edit(PARAMS, start, f"{start}, epochs: {number}")
    study.run("git", "commit", "--quiet", "--all", "--message", "longer")


def submitted(told: str) -> str:
    return re.findall(r"Submitted batch job (\d+)", told)[-1]


def log(study: Checkout, job: str) -> str:
    path = study.folder / f"unroll-{job}.log"
    return path.read_text() if path.exists() else ""


def weights(study: Checkout, variant: str) -> list[str]:
    found = (study.folder / f"data/toy/models/{variant}").glob("seed-*/weights.safetensors")
    return [hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(found)]


def test_slurm_takes_the_script_with_all_that_it_asks_for(cluster, study):
    told = study.run("sbatch", "--test-only", "docs/team/slurm.sh", TOY, env=cluster.environment)
    assert "to start at" in told


def test_variants_of_an_array_are_found_by_the_job_after_them(cluster, study):
    commit(study, baseline=4, peeky=5)
    told = study.run("bash", "-ec", said(SECTION, 1), env=cluster.environment)
    last = submitted(told)
    cluster.wait(last)
    printed = log(study, last)
    for variant in ("baseline", "peeky"):
        assert f"Stage '{TOY}:train@{variant}' is cached - skipping run" in printed
    assert "Running stage 'pipeline/toy/dvc.yaml:report'" in printed
    assert "up to date" in study.run("dvc", "repro", TOY)
    history = study.folder / "data/toy/models/peeky/seed-1/history.csv"
    assert len(history.read_text().splitlines()) == 1 + 5


def test_a_task_without_a_variant_says_which_there_are(cluster, study):
    told = study.run(
        "sbatch", "--wait", "--array=7", "docs/team/slurm-array.sh", TOY,
        fails=True, env=cluster.environment,
    )  # fmt: skip
    assert f"{TOY} has the variants 0 to 2" in log(study, f"{submitted(told)}-7")


EPOCHS = 300


@pytest.fixture
def unbroken(toy_study, tmp_path) -> list[str]:
    """Return the weights of a training that nobody has ended."""
    copy = toy_study.copy(tmp_path / "unbroken")
    commit(copy, peeky=EPOCHS)
    copy.run("dvc", "repro", f"{TOY}:train@peeky")
    return weights(copy, "peeky")


def test_a_job_that_is_ended_goes_on_to_the_same_bits(cluster, study, unbroken):
    commit(study, peeky=EPOCHS)
    job = submitted(study.run("bash", "-ec", said(SECTION, 0), env=cluster.environment))
    checkpoints = study.folder / "data/toy/checkpoints/peeky"
    wait_for(lambda: len(list(checkpoints.glob("seed-*.safetensors"))) == 2, "checkpoints")
    # What SLURM sends two minutes before the time is up.
    study.run("scancel", "--signal=USR1", "--batch", job, env=cluster.environment)
    let_begin_again(cluster, study, job, times=1)
    # What it does where a job of more importance wants the node.
    study.run("scontrol", "requeue", job, env=cluster.environment)
    let_begin_again(cluster, study, job, times=2)
    cluster.wait(job)
    assert "Use `dvc push`" in log(study, job)
    assert weights(study, "peeky") == unbroken
    assert "up to date" in study.run("dvc", "repro", TOY)


def let_begin_again(cluster: Cluster, study: Checkout, job: str, times: int) -> None:
    """Wait until a job is in the queue again, let it not wait there, and see that it goes on."""
    cluster.wait(job, "PENDING")
    assert log(study, job).count("interrupted; the same command goes on from here") == times
    study.run("scontrol", "update", f"JobId={job}", "StartTime=now", env=cluster.environment)
    begun = 2 * (times - 1)  # both seeds, each time before
    wait_for(lambda: log(study, job).count("goes on from its checkpoint") > begun, "a checkpoint")
