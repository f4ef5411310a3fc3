"""What a space file may say, and what it is told where it says something else."""

from pathlib import Path

import pytest

from conftest import ROOT
from sweeps.conftest import SPACE, write_space
from unroll.errors import UserError
from unroll.study import load
from unroll.sweeps.space import Range, Refused, read_space


def test_what_is_not_said_is_that_of_the_variant(study):
    space = read_space(write_space(), study)
    assert (space.name, space.variant, space.trials, space.seed, space.prune_after) == (
        "space", "plain", 4, 0, 1,
    )  # fmt: skip
    assert space.base == study.variant("plain").model_copy(update={"seeds": [3]})
    assert space.searched == {
        "learning_rate": Range(low=0.001, high=0.1, log=True),
        "hidden_size": [4, 8],
    }


def test_what_is_fixed_is_so_in_each_trial(study):
    space = read_space(write_space(SPACE + "fixed: {epochs: 2, seeds: [7, 8]}\n"), study)
    options = space.options(study, {"learning_rate": 0.5, "hidden_size": 4})
    assert (options.epochs, options.seeds, options.dropout) == (2, [7, 8], 0.1)
    assert (options.learning_rate, options.hidden_size) == (0.5, 4)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("trials: 4", "trails: 4", "trails: unknown key (did you mean trials?)"),
        ("trials: 4", "", "trials: missing"),
        ("trials: 4", "trials: many", "trials: input should be a valid integer, not 'many'"),
        ("trials: 4", "trials: 0", "trials: input should be greater than or equal to 1, not 0"),
        (
            "variant: plain",
            "variant: plane",
            "variant: params.yaml has no variant 'plane' (did you mean plain?)",
        ),
        (
            "hidden_size: [4, 8]",
            "hiden_size: [4, 8]",
            "space.hiden_size: pairs has no such option (did you mean hidden_size?)",
        ),
        (
            "hidden_size: [4, 8]",
            "time_steps: [4, 8]",
            "space.time_steps: pairs has no such option",
        ),
        (
            "hidden_size: [4, 8]",
            "hidden_size: [4, 8.5]",
            "space.hidden_size: input should be a valid integer, not 8.5",
        ),
        (
            "hidden_size: [4, 8]",
            "hidden_size: [4, 4]",
            "space.hidden_size: every choice may stand only once",
        ),
        (
            "hidden_size: [4, 8]",
            "hidden_size: 4",
            "space.hidden_size: expected a list of choices, or low and high",
        ),
        (
            "hidden_size: [4, 8]",
            "hidden_size: []",
            "space.hidden_size: expected a list of choices, or low and high",
        ),
        (
            "hidden_size: [4, 8]",
            "hidden_size: {low: 4, high: 8, step: 0.5}",
            "space.hidden_size.step: input should be a valid integer, not 0.5",
        ),
        (
            "hidden_size: [4, 8]",
            "hidden_size: {low: 4, high: 8, step: 3}",
            "space.hidden_size.step: no whole number of them leads from low to high",
        ),
        (
            "hidden_size: [4, 8]",
            "decoder: [plain, peaky]",
            "space.decoder: input should be 'plain', 'peeky', 'attention', 'input_feeding' or "
            "'in_step', not 'peaky' (did you mean peeky?)",
        ),
        ("hidden_size: [4, 8]", "seeds: [4, 8]", "space.seeds: all trials have it in common"),
        ("low: 0.001", "low: 0", "space.learning_rate.low: must be above 0 where log is true"),
        ("low: 0.001", "low: 0.1", "space.learning_rate.high: must be above low (0.1)"),
        ("low: 0.001", "lwo: 0.1", "space.learning_rate.lwo: unknown key (did you mean low?)"),
        (
            "low: 0.001, high: 0.1, log: true",
            "low: 0, high: 0.1",
            "space.learning_rate: input should be greater than 0, not 0",
        ),
        (
            "log: true",
            "log: true, step: 0.1",
            "space.learning_rate.step: not where log is true; leave one out",
        ),
        (
            "trials: 4",
            "trials: 4\nfixed: {epoch: 2}",
            "fixed.epoch: unknown key (did you mean epochs?)",
        ),
        ("trials: 4", "trials: 4\nfixed: {seeds: []}", "fixed.seeds: list should have at least 1"),
        ("trials: 4", "trials: 4\nfixed: {task: lines}", "fixed.task: a variant has its own"),
        (
            "trials: 4",
            "trials: 4\nfixed: {hidden_size: 4}",
            "space.hidden_size: it is fixed, too; leave one out",
        ),
        (
            "trials: 4",
            "trials: 4\nfixed: {curriculum: naive, padding: soft}",
            "fixed.padding: input should be 'plain' or 'masked', not 'soft'",
        ),
        (
            "variant: plain",
            "variant: matched",
            "space.hidden_size: it is solved from match_parameters (peeky)",
        ),
    ],
)
def test_a_fault_is_told_with_its_place(study, old, new, fault):
    assert SPACE.count(old) == 1
    with pytest.raises(UserError) as caught:
        read_space(write_space(SPACE.replace(old, new)), study)
    first, *lines = str(caught.value).splitlines()
    assert first == "space.yaml cannot be used:"
    assert [line.startswith(f"  {fault}") for line in lines] == [True], lines


@pytest.mark.parametrize("text", ["", "4", "[variant]"])
def test_what_is_no_section_is_refused(study, text):
    with pytest.raises(UserError, match="cannot be used"):
        read_space(write_space(text), study)


def test_a_file_that_is_missing_is_named(study):
    with pytest.raises(UserError, match=r"nowhere\.yaml cannot be read: No such file"):
        read_space(Path("nowhere.yaml"), study)


def test_options_that_do_not_go_together_are_refused_with_what_is_wrong(study):
    space = read_space(write_space(SPACE.replace("plain", "both").replace("8]", "7]")), study)
    assert space.options(study, {"hidden_size": 4}).hidden_size == 4
    with pytest.raises(Refused) as caught:
        space.options(study, {"hidden_size": 7})
    assert str(caught.value) == "options.hidden_size: must be even where bidirectional is true"


def test_a_tied_embedding_follows_the_hidden_size_and_is_told(study):
    space = read_space(write_space(SPACE.replace("plain", "tied")), study)
    params = {"learning_rate": 0.01, "hidden_size": 8}
    options = space.options(study, params)
    assert (options.hidden_size, options.embedding_size) == (8, 8)
    assert space.changed(options, params) == {**params, "embedding_size": 8}


def test_the_example_is_one(monkeypatch):
    monkeypatch.chdir(ROOT)
    space = read_space(Path("pipeline/quick/sweep.yaml"), load("quick"))
    assert (space.variant, space.trials) == ("baseline", 12)
