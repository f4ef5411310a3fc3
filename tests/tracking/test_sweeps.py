"""What MLflow holds of a sweep."""

from unroll.kinds import named
from unroll.sweeps.search import Outcome
from unroll.tracking.runs import PARENT, find
from unroll.tracking.state import KEY
from unroll.tracking.sweeps import LEVEL, REASON, STATE, SweepRuns, sweep_run

PARAMS = {"learning_rate": 0.5}


def outcome(number: int, state: str = "complete", value: float | None = 0.5, reason: str = ""):
    epochs = {} if value is None else {1: value / 2, 2: value}
    options = {**PARAMS, "hidden_size": 8}
    return Outcome(number, state, value, PARAMS, options, reason, epochs, 100.0, 101.5)


OUTCOMES = [
    outcome(0),
    outcome(1, value=0.75),
    outcome(2, "pruned", 0.25),
    outcome(3, "failed", None, "too large"),
]


def runs() -> SweepRuns:
    """Return the runs of a sweep, as another process would open them."""
    state = sweep_run("key", "widths", {"variant": "plain", "space.learning_rate": [0.5]})
    return SweepRuns("sums", state, named("labels"))


def held(client) -> dict[str, list]:
    """Return the runs that MLflow holds, by level."""
    experiment = client.get_experiment_by_name("sums.sweeps").experiment_id
    return {level: find(client, experiment, LEVEL, level) for level in ("sweep", "trial")}


def test_a_run_per_trial_stands_below_that_of_the_sweep(client):
    opened = runs()
    opened.bring(OUTCOMES)
    found = held(client)
    [parent] = found["sweep"]
    assert (parent.info.run_name, parent.info.status) == ("widths", "RUNNING")
    assert parent.data.params == {"variant": "plain", "space.learning_rate": "[0.5]"}
    by_number = {run.data.tags[KEY]: run for run in found["trial"]}
    assert sorted(by_number) == [f"key-{number}" for number in range(4)]
    assert {run.data.tags[PARENT] for run in found["trial"]} == {parent.info.run_id}
    told = [(r.info.status, r.data.tags[STATE], r.data.tags[REASON])
            for _, r in sorted(by_number.items())]  # fmt: skip
    assert told == [
        ("FINISHED", "complete", ""),
        ("FINISHED", "complete", ""),
        ("FINISHED", "pruned", ""),
        ("FAILED", "failed", "too large"),
    ]
    one = by_number["key-1"]
    assert one.data.params == {"learning_rate": "0.5", "hidden_size": "8"}
    assert one.data.metrics == {"valid/accuracy": 0.75, "value": 0.75}
    curve = client.get_metric_history(one.info.run_id, "valid/accuracy")
    assert [(point.step, point.value) for point in curve] == [(1, 0.375), (2, 0.75)]
    assert (one.info.start_time, one.info.end_time) == (100_000, 101_500)


def test_whoever_comes_next_adds_what_is_missing_and_nothing_twice(client):
    runs().bring(OUTCOMES[:2])
    opened = runs()
    opened.bring(OUTCOMES[:3])
    opened.bring(OUTCOMES)
    found = held(client)
    assert [len(of) for of in found.values()] == [1, 4]


def test_at_its_end_the_best_is_noted(client):
    ids = set()
    for _ in range(2):  # also by one who comes when all is done
        opened = runs()
        opened.bring(OUTCOMES)
        opened.finish(OUTCOMES[1])
        [parent] = held(client)["sweep"]
        assert parent.info.status == "FINISHED"
        ids.add(parent.info.run_id)
        assert parent.data.tags["best.value"] == "0.75"
        assert parent.data.tags["best.trial"] == "1"
        assert parent.data.tags["best.learning_rate"] == "0.5"
    assert len(ids) == 1
    assert len(held(client)["trial"]) == 4


def test_a_sweep_without_a_best_ends_too(client):
    opened = runs()
    opened.bring(OUTCOMES[3:])
    opened.finish(None)
    [parent] = held(client)["sweep"]
    assert (parent.info.status, parent.data.metrics) == ("FINISHED", {})


def test_a_sweep_is_not_among_the_variants_of_its_task(client):
    runs().bring(OUTCOMES)
    assert client.get_experiment_by_name("sums") is None
    note = client.get_experiment_by_name("sums.sweeps").tags["mlflow.note.content"]
    assert "accuracy on the validation split" in note
