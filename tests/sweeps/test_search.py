"""The trials of a sweep: as many as were asked for, each of one process, whatever becomes of it.

Two searches of one database are as those of two processes: neither has the locks of the other.
"""

import uuid

import optuna
import pytest
from optuna.trial import TrialState

from sweeps.conftest import SPACE, write_space
from unroll.errors import UserError
from unroll.sweeps.search import Pruned, Search, address_of
from unroll.sweeps.space import read_space

ADDRESS = "sqlite:///sweeps.db"
COMPLETE = TrialState.COMPLETE


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.slow)])
def opened(request, study):
    """Return what opens a search, as another process would."""
    address, name = ADDRESS, f"sums.{uuid.uuid4()}"  # the server is that of other tests, too
    if request.param == "postgres":
        address = request.getfixturevalue("postgres_address")

    def search(text: str = SPACE, key: str = "key") -> Search:
        space = read_space(write_space(text), study)
        return Search(address_of(address), name, key, space, higher_is_better=True)

    return search


def states(search: Search) -> list[str]:
    return [trial.state.name for trial in search._trials()]


def test_all_trials_are_there_before_the_first_and_only_once(opened):
    assert states(opened()) == ["WAITING"] * 4
    assert states(opened()) == ["WAITING"] * 4
    assert states(opened(SPACE.replace("trials: 4", "trials: 6"))) == ["WAITING"] * 6
    assert states(opened()) == ["WAITING"] * 4  # two more are there for who asks for them


def test_a_trial_is_taken_once(opened):
    one, other = opened(), opened()
    taken = [search.take() for search in (one, other, one, other, one, other)]
    assert [trial and trial.number for trial in taken] == [0, 1, 2, 3, None, None]
    assert states(one) == ["RUNNING"] * 4


def test_a_trial_whose_process_is_gone_is_begun_anew_under_its_number(opened):
    gone, other = opened(), opened()
    first = gone.take()
    drawn = gone.suggest(first)
    gone.report(first, 1, 0.25)
    assert other.take().number == 1
    gone.locks.release(gone._lock(0))  # as the system does when a process ends
    again = other.take()
    assert again.number == 0
    assert other.suggest(again) == drawn
    other.report(again, 1, 0.25)
    other.end(again, COMPLETE, 0.5)
    assert states(other) == ["COMPLETE", "RUNNING", "WAITING", "WAITING"]
    # Who was thought to be gone comes to its end, too: it is not counted.
    gone.locks.take(gone._lock(0))
    gone.end(first, COMPLETE, 0.75)
    assert [one.value for one in gone.outcomes()] == [0.5]
    assert len(states(other)) == 4


def test_a_trial_that_is_put_back_is_the_next(opened):
    one, other = opened(), opened()
    trial = one.take()
    one.put_back(trial)
    assert states(one) == ["WAITING"] * 4
    assert other.take().number == 0


def test_trials_are_left_until_all_have_ended(opened):
    one, other = opened(), opened()
    theirs, waited = other.take(), []

    def wait() -> None:
        waited.append(1)
        other.end(theirs, COMPLETE, 0.5)

    for trial in one.trials_left(wait):
        one.end(trial, TrialState.FAIL, reason="no luck")
    assert waited == [1]
    assert [(o.number, o.state, o.reason) for o in one.outcomes()] == [
        (0, "complete", ""), (1, "failed", "no luck"), (2, "failed", "no luck"),
        (3, "failed", "no luck"),
    ]  # fmt: skip


def test_what_is_drawn_depends_on_the_trial_and_those_before_it(opened):
    def drawn(key: str, breaks: bool) -> list[dict]:
        search, found = opened(SPACE.replace("trials: 4", "trials: 14"), key), []
        for number in range(14):
            trial = search.take()
            found.append(search.suggest(trial))
            search.end(trial, COMPLETE, number / 20)
            if breaks:
                search = opened(SPACE.replace("trials: 4", "trials: 14"), key)
        return found

    straight, broken = drawn("a", False), drawn("b", True)
    assert straight == broken
    rates = [params["learning_rate"] for params in straight]
    assert len(set(rates)) == 14
    assert all(0.001 <= rate <= 0.1 and rate == float(f"{rate:.6g}") for rate in rates)


@pytest.mark.parametrize("prune_after", [1, 3])
def test_a_trial_below_the_median_is_ended_by_an_epoch(opened, prune_after):
    search = opened(SPACE.replace("trials: 4", f"trials: 7\nprune_after: {prune_after}"))
    for _ in range(5):
        trial = search.take()
        for epoch in (1, 2, 3):
            search.report(trial, epoch, 0.5)
        search.end(trial, COMPLETE, 0.5)
    bad, good = search.take(), search.take()
    for epoch in (1, 2, 3):
        search.report(good, epoch, 0.5)
    for epoch in range(1, prune_after):
        search.report(bad, epoch, 0.25)
    with pytest.raises(Pruned):
        search.report(bad, prune_after, 0.25)
    search.end(bad, TrialState.PRUNED)
    [outcome] = [one for one in search.outcomes() if one.number == bad.number]
    assert (outcome.state, outcome.value) == ("pruned", 0.25)
    assert list(outcome.epochs) == list(range(1, prune_after + 1))


def test_the_best_is_the_first_of_the_best_complete_ones(opened):
    search = opened()
    assert search.best(search.outcomes()) is None
    for value in (0.25, 0.75, 0.75):
        search.end(search.take(), COMPLETE, value)
    search.end(search.take(), TrialState.FAIL, reason="too large")
    assert search.best(search.outcomes()).number == 1


def test_sweeps_of_other_keys_are_counted(opened):
    assert opened().others == 0
    assert opened(key="new").others == 1
    assert opened().others == 1


@pytest.mark.parametrize("given", ["", "nowhere", "mysql://host/x", "redis://host", "http://host"])
def test_another_address_is_refused(given):
    with pytest.raises(UserError, match=r"is no database for a sweep; give postgresql://"):
        address_of(given)


def test_a_database_in_memory_is_refused():
    with pytest.raises(UserError, match="keeps nothing; name a file"):
        address_of("sqlite://")


def test_a_password_is_not_told():
    with pytest.raises(UserError) as caught:
        address_of("mysql://me:hush@host/x")
    assert "hush" not in str(caught.value)


def test_postgresql_is_spoken_to_with_psycopg():
    assert address_of("postgresql://host/x").drivername == "postgresql+psycopg"
    assert address_of("postgresql+psycopg2://host/x").drivername == "postgresql+psycopg"


def test_optuna_has_what_was_asked_for(opened):
    search = opened()
    search.end(search.take(), COMPLETE, 0.5)
    loaded = optuna.load_study(study_name=search.name, storage=search.storage)
    assert loaded.direction.name == "MAXIMIZE"
    assert loaded.best_value == 0.5
