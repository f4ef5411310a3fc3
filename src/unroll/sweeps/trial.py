"""The training of a trial: all its seeds, epoch by epoch, so that each epoch has a mean of them."""

from collections.abc import Callable
from statistics import fmean
from typing import Any

from optuna import Trial
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState
from torch import nn

from unroll.errors import TrainingError, out_of_memory
from unroll.kinds import kind_of
from unroll.models.budget import parameters, solve
from unroll.options import VariantOptions, resolved
from unroll.study import Study
from unroll.sweeps.search import Pruned, Search
from unroll.sweeps.space import Refused
from unroll.training.interruption import Interruption
from unroll.training.loop import Seat, Training, go_on
from unroll.training.machine import Machine
from unroll.training.run import begin

Note = Callable[[int, float], None]  # of an epoch, and the mean of its seeds


def validated(options: VariantOptions, data: Any, machine: Machine, note: Note) -> float:
    """Train a model for each seed; return the mean of what decides on the validation split.

    It is that of the weights that are kept: of the last epoch, or of each seed's best. The seeds
    take an epoch one after another; each has the bits of a training alone.

    Raises:
        TrainingError: a loss or a metric is no longer a finite number.
    """
    main, choosing = kind_of(options).main, kind_of(options).choosing
    trainings = [Training(begin(options, data, seed, machine), options) for seed in options.seeds]
    for epoch in range(1, options.epochs + 1):
        for training in trainings:
            go_on([Seat(training, lambda _: None)], training, Interruption(), (epoch + 1, 0))
        note(epoch, fmean(training.history[-1].metrics[choosing] for training in trainings))
    if options.keep == "best":
        return fmean(-main.sign * min(training.validations) for training in trainings)
    return fmean(training.history[-1].metrics[choosing] for training in trainings)


def run_trial(
    search: Search, trial: Trial, study: Study, data: Any, machine: Machine, note: Note
) -> None:
    """Draw the options of a trial, train it, and note how it has ended.

    One that no model can have, that diverges, or for which there is not enough memory has failed:
    others may do. Whatever else ends it, it is left to whoever is next.
    """

    def report(epoch: int, value: float) -> None:
        note(epoch, value)
        search.report(trial, epoch, value)

    ended: tuple[TrialState, float | None, str]
    try:
        options = _options(search, trial, study, data)
        ended = TrialState.COMPLETE, validated(options, data, machine, report), ""
    except Pruned:
        ended = TrialState.PRUNED, None, ""
    except UpdateFinishedTrialError:  # another process took it up, and has ended it
        search.put_back(trial)
        return
    except BaseException as error:
        reason = str(error) if isinstance(error, Refused | TrainingError) else out_of_memory(error)
        if reason is None:
            search.put_back(trial)
            raise
        ended = TrialState.FAIL, None, reason
    search.end(trial, *ended)


def _options(search: Search, trial: Trial, study: Study, data: Any) -> VariantOptions:
    """Return the options of a trial, the hidden size solved where a budget asks for it."""
    space = search.space
    params = search.suggest(trial)
    kind = kind_of(space.base)
    form = kind.form(data)

    def build(options: VariantOptions) -> nn.Module:
        return kind.build(options, form)

    options = solve(build, space.options(study, params), study.variants)
    size = parameters(build, options)
    search.describe(trial, {**resolved(options), "parameters": size})
    return options
