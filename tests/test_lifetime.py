"""Commands that are asked to end, in processes of their own: a signal is for all of a process."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from unroll.lifetime import SIGNALS, _runs_dvc, listen, number_of, undisturbed

TESTS = Path(__file__).parent
ENDS = "interrupted; the same command goes on from here\n"

# What is told where the handler raises in a destructor: Python drops it.
DYING = """
import os, sys, time
from unroll.cli import main

class Dying:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(0)

@main.command()
def hang():
    Dying()
    time.sleep(60)

main(["hang"])
"""

# Sends the signals in its arguments to itself, and tells which it has survived.
SENDING = """
import os, signal, sys, time
from unroll.cli import main

@main.command()
def send():
    for number in sys.argv[1:]:
        print(number, flush=True)
        os.kill(os.getpid(), int(number))
        time.sleep(0.1)
    print("to its end")

main(["send"])
"""

# Where what is compiled is interrupted, its own error comes out: so pydantic's does.
WRAPPING = """
import os, sys, time
from unroll.cli import main

@main.command()
def wrap():
    try:
        os.kill(os.getpid(), int(sys.argv[1]))
        time.sleep(60)
    except KeyboardInterrupt as interrupt:
        raise RuntimeError(f"cannot build: {interrupt!r}") from None

main(["wrap"])
"""

# A DVC that starts a stage, through a shell or not, and tells its process.
DVC = """
import os, subprocess, sys, time
stage = [sys.executable, "-c", sys.argv[2]]
if sys.argv[1] == "through a shell":
    stage = ["sh", "-c", '"$@"; true', "sh", *stage]
process = subprocess.Popen(stage, env={**os.environ, "DVC_STAGE": "train@x"})
if sys.argv[1] == "gone at once":
    os._exit(0)
time.sleep(600)
"""

STAGE = """
import os, sys, time
from unroll import lifetime
from unroll.cli import main

lifetime.SECONDS = 0.05
lifetime.PATIENCE = 1.0

@main.command()
def stage():
    print(os.getpid(), flush=True)
    time.sleep(60)

main(["stage"])
"""

# It does not end when it is asked to, and counts how often it was.
STUBBORN = STAGE.replace(
    """    print(os.getpid(), flush=True)
    time.sleep(60)
""",
    """    words = os.getpid()
    while True:
        try:
            print(words, flush=True)
            time.sleep(60)
        except KeyboardInterrupt as interrupt:
            words = f"asked {interrupt.args[0]}"
""",
)


def python(program: str, *arguments: object, **options) -> subprocess.CompletedProcess:
    command = [sys.executable, "-c", program, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


def ignoring(*numbers: int):
    """Return what makes a program be started as by nohup, or in the background of a script."""
    return lambda: [signal.signal(number, signal.SIG_IGN) for number in numbers]


def numbers(names: tuple[str, ...] = SIGNALS) -> list[int]:
    return [int(getattr(signal, name)) for name in names]


@pytest.mark.parametrize(
    ("encoding", "printed"),
    [
        ("utf-8", "−1.0 ± 0.5 ☑ 안녕"),
        ("latin-1", "-1.0 ± 0.5 + ??"),
        ("ascii", "-1.0 +- 0.5 + ??"),
        ("cp949", "-1.0 ± 0.5 + 안녕"),
    ],
)
def test_any_encoding_of_the_output_will_do(encoding, printed):
    program = (
        "from unroll.cli import main\n"
        "@main.command()\n"
        "def tell():\n"
        "    print('−1.0 ± 0.5 ☑ 안녕')\n"
        "main(['tell'])\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONIOENCODING": encoding},
        capture_output=True,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode(encoding) == printed + "\n"


def test_a_user_without_a_home_has_one_for_the_time_of_a_command():
    program = (
        "import os, pwd, sys\n"
        "from pathlib import Path\n"
        "def unknown(number):\n"
        "    raise KeyError(number)\n"
        "pwd.getpwuid = unknown\n"  # as in a container
        "from unroll.cli import main\n"
        "@main.command()\n"
        "def home():\n"
        "    assert Path.home().is_dir()\n"
        "    print(Path.home())\n"
        "main(['home'])\n"
    )
    done = python(program, env={k: v for k, v in os.environ.items() if k != "HOME"})
    assert done.returncode == 0, done.stderr
    assert not Path(done.stdout.strip()).exists()


@pytest.mark.parametrize("number", numbers())
def test_a_signal_ends_a_command_with_a_word_and_its_number(number):
    done = python(SENDING, number)
    assert (done.returncode, done.stderr) == (128 + number, ENDS)
    assert done.stdout == f"{number}\n"


@pytest.mark.parametrize("number", numbers())
def test_a_signal_that_comes_while_python_cannot_raise_is_not_lost(number):
    done = python(DYING, number)
    assert (done.returncode, done.stderr) == (128 + number, ENDS)


@pytest.mark.parametrize("number", numbers())
def test_an_interrupt_of_which_something_else_was_made_is_one(number):
    done = python(WRAPPING, number)
    assert (done.returncode, done.stderr) == (128 + number, ENDS)


def test_signals_that_a_program_was_started_to_ignore_stay_ignored():
    ignored = ignoring(signal.SIGINT, signal.SIGHUP)
    done = python(SENDING, 1, 2, 1, 15, preexec_fn=ignored)
    assert (done.returncode, done.stderr) == (143, ENDS)
    assert done.stdout == "1\n2\n1\n15\n"


def test_what_python_cannot_raise_else_is_told_as_ever():
    program = DYING.replace("os.kill(os.getpid(), int(sys.argv[1]))", "1 / 0")
    program = program.replace("    time.sleep(60)\n", "")
    done = python(program)
    assert done.returncode == 0
    assert "ZeroDivisionError" in done.stderr


@pytest.mark.parametrize(
    ("interrupt", "number"), [(KeyboardInterrupt(), 2), (KeyboardInterrupt(15), 15)], ids=repr
)
def test_an_interrupt_that_names_no_signal_is_ctrl_c(interrupt, number):
    assert number_of(interrupt) == number


def test_tests_start_programs_that_heed_signals_also_where_they_ignore_them():
    """As `nohup make test &` does: what is ignored is inherited, what is handled is not."""
    program = (
        "import subprocess, sys\n"
        "from conftest import heed_signals\n"
        "if sys.argv[1] == 'heed':\n"
        "    heed_signals()\n"
        "command = [sys.executable, '-c', sys.argv[2], '2']\n"
        "sys.exit(subprocess.run(command, stderr=subprocess.DEVNULL).returncode)\n"
    )
    path = os.pathsep.join([str(TESTS), *filter(None, [os.environ.get("PYTHONPATH")])])
    for how, code in (("heed", 130), ("ignore", 0)):
        done = python(
            program,
            how,
            SENDING,
            preexec_fn=ignoring(*numbers()),
            env={**os.environ, "PYTHONPATH": path},
        )
        assert done.returncode == code, done.stdout


# The end of DVC


@contextlib.contextmanager
def started(
    how: str, stage: str, dvc: str = DVC, environment: dict[str, str] | None = None
) -> Iterator[tuple[subprocess.Popen, psutil.Process]]:
    """Give a DVC and the stage that it has started; nothing of it outlives the test."""
    with subprocess.Popen(
        [sys.executable, "-c", dvc, how, stage],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process, psutil.Process(int(process.stdout.readline()))
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)


def ends(stage: psutil.Process, seconds: float = 20.0) -> bool:
    """Say whether a process that is not of this one comes to its end."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not stage.is_running() or stage.status() == psutil.STATUS_ZOMBIE:
            return True
        time.sleep(0.02)
    return False


@pytest.mark.parametrize("how", ["by itself", "through a shell"])
def test_a_stage_ends_when_its_dvc_is_killed(how):
    with started(how, STAGE) as (dvc, stage):
        assert not ends(stage, 0.5)
        dvc.kill()
        assert ends(stage)
        assert dvc.stdout.read() == ENDS


def test_a_stage_whose_dvc_was_killed_before_it_looked_ends():
    if any(_runs_dvc(process) for process in adopters()):
        pytest.skip("who adopts processes here may be a DVC by its name")
    with started("gone at once", STAGE) as (dvc, stage):
        assert ends(stage)
        assert dvc.stdout.read() == ENDS


def adopters() -> list[psutil.Process]:
    """Return the ancestors that a process has which was left by its parent."""
    program = (
        "import os, time\n"
        "parent = os.getpid()\n"
        "if os.fork() == 0:\n"
        "    while os.getppid() == parent: time.sleep(0.01)\n"
        "    print(os.getppid(), flush=True)\n"
    )
    adopter = psutil.Process(int(python(program).stdout))
    return [adopter, *adopter.parents()]


def test_a_stage_that_does_not_end_is_asked_once_and_ended():
    with started("by itself", STUBBORN) as (dvc, stage):
        dvc.kill()
        assert ends(stage)
        assert dvc.stdout.read() == "asked 15\n"


def test_a_stage_that_was_asked_to_end_is_not_asked_again():
    """What it does then, writing checkpoints, would be broken off by a second time."""
    with started("by itself", STUBBORN) as (dvc, stage):
        stage.send_signal(signal.SIGINT)
        assert dvc.stdout.readline() == "asked 2\n"
        dvc.kill()
        assert ends(stage)
        assert dvc.stdout.read() == ""


def test_a_command_that_was_typed_by_hand_has_no_dvc_to_end_with():
    program = DVC.replace(', env={**os.environ, "DVC_STAGE": "train@x"}', "")
    environment = {k: v for k, v in os.environ.items() if k != "DVC_STAGE"}
    with started("by itself", STAGE, program, environment) as (dvc, stage):
        dvc.kill()
        assert not ends(stage, 2.0)


@pytest.mark.parametrize(
    ("command", "runs"),
    [
        ([sys.executable, "-c", "import time; time.sleep(60)"], True),
        (["sh", "-c", "sleep 60; true"], False),
        (["sh", "-c", "sleep 60; true", "dvc", "repro"], False),  # where its words begin
        (["sleep", "60"], False),
    ],
    ids=["python", "a shell", "a shell with words of dvc", "another program"],
)
def test_dvc_is_known_by_its_program_or_its_first_words(command, runs):
    with subprocess.Popen(command, start_new_session=True) as process:
        try:
            time.sleep(0.2)  # until it runs that program
            assert _runs_dvc(psutil.Process(process.pid)) == runs
        finally:
            os.killpg(process.pid, signal.SIGKILL)


@pytest.fixture
def listening(monkeypatch):
    """Let this process listen as a command does."""
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before[signal.SIGHUP] = signal.getsignal(signal.SIGHUP)
    listen()
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def test_a_block_that_is_undisturbed_ends_before_a_signal_is_heard(listening):
    done = []
    with pytest.raises(KeyboardInterrupt), undisturbed():
        signal.raise_signal(signal.SIGINT)
        done.append("whole")
    assert done == ["whole"]
    with pytest.raises(KeyboardInterrupt):  # as before
        signal.raise_signal(signal.SIGINT)


def test_an_undisturbed_block_is_left_by_who_asks_twice(listening):
    done = []
    with pytest.raises(KeyboardInterrupt), undisturbed():
        signal.raise_signal(signal.SIGINT)
        done.append("once")
        signal.raise_signal(signal.SIGINT)
        done.append("twice")
    assert done == ["once"]


def test_an_undisturbed_block_that_nobody_disturbs_changes_nothing(listening):
    before = signal.getsignal(signal.SIGTERM)
    with undisturbed():
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
