"""The command: what it tells, how it goes on, and what its last lines do."""

import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides

from conftest import ROOT, Checkout
from sweeps.conftest import PARAMS, SPACE, prepared, study, write_space
from unroll.errors import DataError, UserError
from unroll.stages.sweep import sweep, winner
from unroll.study import load
from unroll.sweeps.space import read_space

__all__ = ["prepared", "study"]

UNROLL = (sys.executable, "-c", "from unroll.cli import main; main()")


def files() -> set[str]:
    return {path.as_posix() for path in Path().rglob("*") if path.is_file()}


def test_a_sweep_tells_each_trial_and_the_best(study, capsys):
    before, space = files(), write_space()
    sweep(study, space)
    told, warned = capsys.readouterr()
    first, *trials = told.partition("\n\n")[0].splitlines()
    assert first.endswith(": 4 trials of plain in sqlite:///sweeps.db, 0 have ended")
    assert [line.split("  ")[0] for line in trials] == [f"trial {n}" for n in range(4)]
    assert all("exact match" in line and "learning_rate 0." in line for line in trials)
    assert [line.split("  ")[-1] for line in trials] == ["1/4", "2/4", "3/4", "4/4"]
    assert "dvc exp run \\\n    -S 'params.yaml:++variants.plain.learning_rate=0." in told
    # MLflow is away: that is said once.
    assert warned.count("warning: MLflow at http://127.0.0.1:9 could not be written") == 1
    made = {name for name in files() - before if not name.startswith("sweeps.db")}
    assert made == {"space.yaml"}
    # Again: nothing is trained.
    sweep(study, space)
    again, _ = capsys.readouterr()
    assert again.splitlines()[0].endswith("4 have ended")
    assert again.partition("\n\n")[2] == told.partition("\n\n")[2]


def test_more_trials_go_on_and_another_space_is_another_sweep(study, capsys):
    sweep(study, write_space())
    sweep(study, write_space(SPACE.replace("trials: 4", "trials: 5")))
    told = capsys.readouterr().out
    assert told.count("\ntrial 4  ") == 1
    assert told.count("\ntrial 0  ") == 1
    sweep(study, write_space(SPACE.replace("trials: 4", "trials: 1").replace("0.1,", "0.2,")))
    told = capsys.readouterr().out
    assert "0 have ended\nbegun anew: 1 under this name had another space" in told
    assert told.count("\ntrial 0  ") == 1
    sweep(study, write_space())  # put back: all is there
    assert "4 have ended" in capsys.readouterr().out


def test_trials_that_fail_are_told_with_the_reason(study, capsys):
    text = "variant: both\ntrials: 2\nspace: {hidden_size: [5, 7]}\n"
    sweep(study, write_space(text))
    told = capsys.readouterr().out
    assert told.count("failed  (options.hidden_size: must be even where bidirectional") == 2
    assert "no trial is complete: the reasons stand above" in told


def test_without_prepared_data_it_is_said_what_to_run(study):
    shutil.rmtree("data")
    with pytest.raises(DataError, match="run: dvc repro prepare@sums"):
        sweep(study, write_space())
    assert not Path("sweeps.db").exists()


@pytest.mark.parametrize(
    ("address", "told"),
    [
        ("postgresql://me:hush@127.0.0.1:9/x", "//***@127.0.0.1:9/x, cannot be used ("),
        ("sqlite:///params.yaml", "sqlite:///params.yaml, cannot be used ("),
    ],
)
def test_a_database_that_cannot_be_used_is_named_without_its_password(study, address, told):
    before = Path("params.yaml").read_bytes()
    with pytest.raises(DataError) as caught:
        sweep(study, write_space(), address)
    assert told in str(caught.value)
    assert "hush" not in str(caught.value)
    assert Path("params.yaml").read_bytes() == before


def test_without_optuna_it_is_said_how_to_have_it(study, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)  # as where it is not installed
    with pytest.raises(UserError, match=r"run: pip install 'unroll\[sweep\]'"):
        sweep(study, write_space())


def test_the_winner_is_typed_into_the_params_of_its_study(study):
    folder = Path("pipeline/small")
    folder.mkdir(parents=True)
    (folder / "params.yaml").write_text(PARAMS)
    small = load("small")
    text = "variant: plain\ntrials: 1\nspace: {clip: [null, 1.0], dropout: [0.5], cell: [gru]}\n"
    params = {"clip": None, "dropout": 0.5, "cell": "gru", "hidden_size": 12, "learning_rate": 1e-5}
    space = read_space(write_space(text), small)
    command = winner(small, space, params).replace("\\\n", "")
    words = subprocess.run(
        ["bash", "-c", f'printf "%s\\n" {command}'], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert words[:3] == ["dvc", "exp", "run"]
    assert words[-1] == "pipeline/small/dvc.yaml"
    named = [word.partition(":") for word in words[4:-1:2]]
    assert {file for file, _, _ in named} == {"pipeline/small/params.yaml"}
    apply_overrides(folder / "params.yaml", [override for _, _, override in named])
    found = load("small").variant("plain")
    assert found == small.variant("plain").model_copy(update=params)


@pytest.mark.slow
def test_ctrl_c_leaves_the_trial_to_the_same_command(study):
    space = write_space("variant: plain\ntrials: 2\nfixed: {epochs: 100000}\n"
                        "space: {learning_rate: [0.01]}\n")  # fmt: skip
    command, checkout = [*UNROLL, "sweep", space.as_posix()], Checkout(Path())
    environment = checkout.environment({"MLFLOW_TRACKING_URI": "http://127.0.0.1:9"})
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment
    ) as process:
        for line in process.stdout:
            if "warning: MLflow" in line:  # the first trial is next
                break
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(5)
        process.send_signal(signal.SIGINT)
        rest = process.stdout.read()
    assert (process.returncode, rest) == (130, "interrupted; the same command goes on from here\n")
    import optuna

    [name] = optuna.get_all_study_names("sqlite:///sweeps.db")
    trials = optuna.load_study(study_name=name, storage="sqlite:///sweeps.db").trials
    assert {trial.state.name for trial in trials} == {"WAITING"}
    assert trials[0].intermediate_values  # it was under way


def test_what_a_sweep_leaves_is_not_in_git():
    left = ["sweeps.db", "sweeps.db-journal", "sweeps.db.locks/x.lock"]
    done = subprocess.run(["git", "check-ignore", *left], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 128:
        pytest.skip("no git here")
    assert done.stdout.split() == left
