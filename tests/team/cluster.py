"""A real SLURM of one node, with all that it keeps in a folder."""

import contextlib
import os
import secrets
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from team.parts import free_port

PROGRAMS = {
    name: shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin")
    for name in ("munged", "slurmctld", "slurmd", "sbatch")
}

needs_slurm = pytest.mark.skipif(
    None in PROGRAMS.values() or os.getuid() != 0,
    reason="there is no SLURM here (Debian's slurm-wlm and munge), or its node may not be started",
)
CONFIGURATION = """
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={control}
SlurmdPort={node}
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
ReturnToService=2
SlurmdParameters=config_overrides
NodeName={host} NodeAddr=127.0.0.1 CPUs=4 RealMemory=16000
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE
"""


def wait_for(true: Callable[[], bool], what: str, seconds: float = 600) -> None:
    """Wait until something is so."""
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} seconds"
        time.sleep(0.5)


class Cluster:
    """A SLURM, as who submits jobs sees it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}

    def ask(self, *command: str) -> str:
        """Return what a command of SLURM's says; nothing where it fails."""
        done = subprocess.run(
            command, env={**os.environ, **self.environment}, capture_output=True, text=True
        )
        return done.stdout if done.returncode == 0 else ""

    def state(self, job: str) -> str:
        """Return the state of a job that waits or runs; nothing where it has ended."""
        return self.ask("squeue", "--noheader", "--format=%T", f"--jobs={job}").strip()

    def wait(self, job: str, state: str = "") -> None:
        """Wait until a job has a state, or has ended."""
        wait_for(lambda: self.state(job) == state, f"job {job} {state or 'to end'}")


@contextlib.contextmanager
def slurm(folder: Path) -> Iterator[Cluster]:
    """Yield a SLURM that can take jobs."""
    folder.chmod(0o755)  # munge looks at who could change its socket
    for name in ("state", "spool"):
        (folder / name).mkdir()
    (folder / "munge.key").write_bytes(secrets.token_bytes(1024))
    (folder / "munge.key").chmod(0o600)
    places = {"host": socket.gethostname().split(".")[0], "folder": folder}
    ports = {"control": free_port(), "node": free_port()}
    (folder / "slurm.conf").write_text(CONFIGURATION.format(**places, **ports))
    cluster = Cluster(folder)
    munge = [f"--{name}={folder}/munge.{name}" for name in ("socket",)]
    munge += [f"--key-file={folder}/munge.key", f"--pid-file={folder}/munge.pid"]
    munge += [f"--log-file={folder}/munge.log", f"--seed-file={folder}/munge.seed"]
    with contextlib.ExitStack() as stack:

        def start(name: str, *options: str) -> None:
            told = stack.enter_context((folder / f"{name}.txt").open("w"))
            environment = {**os.environ, **cluster.environment}
            process = subprocess.Popen(
                [PROGRAMS[name], *options], stdout=told, stderr=told, env=environment
            )
            stack.callback(process.wait, 60)
            stack.callback(process.terminate)

        start("munged", "--foreground", "--force", *munge)
        wait_for((folder / "munge.socket").exists, "munge", 60)
        start("slurmctld", "-D")
        start("slurmd", "-D")
        sinfo = ("sinfo", "--noheader", "--format=%T")
        wait_for(lambda: cluster.ask(*sinfo).strip() == "idle", "a node", 120)
        yield cluster
