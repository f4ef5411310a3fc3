"""The real parts of a team: an MLflow with logins, an SSH server, and who uses them."""

import contextlib
import os
import re
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from conftest import ROOT, Checkout
from docs.recipes import FENCE, commands

SSHD = shutil.which("sshd", path=f"{os.environ['PATH']}:/usr/sbin")
POSTGRES = shutil.which("postgres") or next(Path("/usr/lib/postgresql").glob("*/bin/postgres"), "")

needs_postgresql = pytest.mark.skipif(
    not POSTGRES, reason="there is no PostgreSQL here (Debian's package postgresql)"
)
needs_sshd = pytest.mark.skipif(
    SSHD is None, reason="there is no SSH server here (Debian's package openssh-server)"
)
PAGE = (ROOT / "docs/team/README.md").read_text()
PLACES = {"address": "http://127.0.0.1:5000", "team": ".team", "store": "/srv/unroll"}
PATIENCE = 180  # seconds in which a server must have started


def said(heading: str, number: int, **instead: str) -> str:
    """Return a block of commands of the page, of the toy study, for places of a test."""
    [section] = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    blocks = [block[2] for block in FENCE.finditer(section) if block[1] == "console"]
    text = "\n".join(step.command for step in commands(blocks[number])).replace("quick", "toy")
    for old, new in instead.items():
        assert PLACES[old] in text
        text = text.replace(PLACES[old], new)
    return text


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return free.getsockname()[1]


@contextlib.contextmanager
def open_folder() -> Iterator[Path]:
    """Yield a folder that another user can reach, as PostgreSQL does where root starts it."""
    folder = Path(tempfile.mkdtemp(prefix="unroll-", dir="/tmp"))
    folder.chmod(0o711)
    try:
        yield folder
    finally:
        shutil.rmtree(folder)


@dataclass
class Server:
    """A running `make team`: its address, what it has said, its process."""

    address: str
    folder: Path
    output: Path
    process: subprocess.Popen

    @property
    def password(self) -> str:
        return (self.folder / "admin-password").read_text().strip()

    def login(self, user: str = "admin", password: str | None = None) -> dict[str, str]:
        """Return the environment of somebody who uses it."""
        return {
            "MLFLOW_TRACKING_URI": self.address,
            "MLFLOW_TRACKING_USERNAME": user,
            "MLFLOW_TRACKING_PASSWORD": password or self.password,
        }


@contextlib.contextmanager
def make_team(checkout: Checkout, team: Path, port: int) -> Iterator[Server]:
    """Yield the server once it says that it serves; at the end, end it as Ctrl-C does."""
    output = checkout.folder.parent / f"team-{time.monotonic_ns()}.txt"
    in_venv = f"IN_VENV=export PATH='{os.environ['PATH']}' &&"
    command = ["make", "team", f"PORT={port}", f"TEAM={team}", in_venv, "READY="]
    with output.open("w") as told:
        process = subprocess.Popen(
            command,
            cwd=checkout.folder,
            env=checkout.environment(),
            stdout=told,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        until(lambda: "Ctrl-C ends it" in output.read_text(), process, output)
        yield Server(f"http://127.0.0.1:{port}", team, output, process)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGINT)
        process.wait(60)


def until(well: Callable[[], bool], process: subprocess.Popen, output: Path) -> None:
    """Wait until something is so; fail with what a program has said, when it has ended before."""
    deadline = time.monotonic() + PATIENCE
    while not well():
        assert process.poll() is None and time.monotonic() < deadline, output.read_text()
        time.sleep(0.2)


@contextlib.contextmanager
def ssh_server(home: Path) -> Iterator[None]:
    """Let the user of `home` reach this machine under the name `server`, by a key."""
    ssh = home / ".ssh"
    ssh.mkdir(parents=True, mode=0o700)
    port, output = free_port(), home / "sshd.txt"
    for name in ("host_key", "id_ed25519"):
        made = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(ssh / name)]
        subprocess.run(made, check=True)
    shutil.copy(ssh / "id_ed25519.pub", ssh / "authorized_keys")
    host = (ssh / "host_key.pub").read_text()
    (ssh / "known_hosts").write_text(f"[127.0.0.1]:{port} {host}")
    (ssh / "config").write_text(
        f"Host server\n  HostName 127.0.0.1\n  Port {port}\n  IdentityFile {ssh}/id_ed25519\n"
        f"  IdentitiesOnly yes\n  UserKnownHostsFile {ssh}/known_hosts\n"
        "  StrictHostKeyChecking yes\n"
    )
    (ssh / "sshd_config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {ssh}/host_key\nPidFile none\n"
        f"AuthorizedKeysFile {ssh}/authorized_keys\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nSubsystem sftp internal-sftp\n"
    )
    if os.getuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # an empty folder: without it root's sshd ends
    assert SSHD is not None
    with output.open("w") as told:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", str(ssh / "sshd_config")], stdout=told, stderr=told
        )
    try:
        until(lambda: "Server listening" in output.read_text(), process, output)
        yield
    finally:
        process.terminate()
        process.wait(30)
