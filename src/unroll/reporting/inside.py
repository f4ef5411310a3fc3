"""The page of `unroll inside`: what goes on in a trained language model, in pictures and words."""

from collections.abc import Mapping, Sequence
from itertools import groupby

import numpy as np

from unroll.evaluation.inside import (
    HIGH,
    LOW,
    STEPS,
    TRAINED,
    Influence,
    Inside,
    Saturation,
    Spectrum,
    Unit,
)
from unroll.options import CorpusOptions
from unroll.reporting import figures
from unroll.reporting.parts import Picture, Section, Text, Word, template
from unroll.reporting.words import percent
from unroll.runs.record import Record

STRONGEST = 60  # percent of a colour behind a word, which stays readable
DEVIATIONS = 2  # standard deviations at which a unit's colour is strongest
SHORT = 10  # steps back, of which a sentence tells
LAST = 5  # words before one that is predicted

REACH = "How far back does the gradient reach?"
HOW_REACH = (
    "A line says how much is left, so many steps back, of the gradient that the loss of one word "
    "has at the hidden state: where it is low, training learns nothing from what stood that far "
    "back."
)


def inside_page(record: Record, options: CorpusOptions, found: Inside) -> str:
    """Return what was found in the model of a record as HTML that needs nothing beside itself."""
    subject, metric = record.subject, record.kind.main
    seeds = "the best of its seeds" if len(options.seeds) > 1 else "its only seed"
    return template("inside.html").render(
        variant=subject.variant,
        about=(
            f"Seed {record.seed} of {subject.variant}, study {subject.study}, {seeds} "
            f"(perplexity {metric.show(record.chosen_by)} on validation). "
            f"{_cell(options)}, layers {options.layers}, hidden size {options.hidden_size}, "
            f"{record.parameters:,} parameters. All that is shown was read in its validation split."
        ),
        sections=[
            _reach(options, found),
            _spectra(options, found.spectra),
            _words(found.influences),
            _units(found),
            _gates(options, found.saturations),
        ],
    )


def sections(options: CorpusOptions, found: Inside) -> list[Section]:
    """Return what a report may hold: nothing that was read stands in it, only numbers."""
    return [
        _reach(options, found),
        _spectra(options, found.spectra),
        _gates(options, found.saturations),
    ]


def compared(norms: Mapping[str, np.ndarray]) -> Section:
    """Return how far the gradient reaches back in each of several trained models."""
    kept = _kept(norms)
    return Section("reach", REACH, HOW_REACH, kept + ".", pictures=[_reach_picture(norms)])


def _cell(options: CorpusOptions) -> str:
    return "Mogrifier LSTM" if options.mogrifier_rounds else f"Cell {options.cell}"


# How far back the gradient reaches


def _reach(options: CorpusOptions, found: Inside) -> Section:
    own = found.trained / found.trained[0]
    return Section(
        "gradients",
        REACH,
        HOW_REACH,
        f"In the {TRAINED} model {_share(own[SHORT])} of it is left {SHORT} steps back, and "
        f"{_share(own[-1])} after {STEPS}; {_kept(found.reach)}.",
        [
            _clipping(options, found.norms),
            "Of several layers the hidden states are taken together; of an LSTM it is the gradient "
            "by h, with the cell state of that step as it is.",
        ],
        [_reach_picture(found.reach)],
    )


def _kept(norms: Mapping[str, np.ndarray]) -> str:
    """Say in which of several models most of the gradient is left at the end, and least."""
    ends = {name: of[-1] / of[0] for name, of in norms.items()}
    most, least = max(ends, key=ends.__getitem__), min(ends, key=ends.__getitem__)
    return (
        f"“{most}” keeps most over {STEPS} steps ({_share(ends[most])}), “{least}” least "
        f"({_share(ends[least])})"
    )


def _reach_picture(norms: Mapping[str, np.ndarray]) -> Picture:
    told = "; ".join(
        f"{name} {_share(of[SHORT] / of[0])} after {SHORT} and {_share(of[-1] / of[0])} after "
        f"{STEPS}"
        for name, of in norms.items()
    )
    return Picture(figures.reach(norms), f"Norm of the gradient by steps back: {told}.")


def _clipping(options: CorpusOptions, norms: np.ndarray) -> str:
    """Say how often the clip of a training would act on windows of validation."""
    windows = "one window" if len(norms) == 1 else f"{len(norms)} windows"
    of = (
        f"{windows} of validation ({options.time_steps} steps; read as in training, but with "
        "nothing dropped)"
    )
    middle = (
        f"the median of the global norm is {np.median(norms):.2g}, the largest {norms.max():.2g}"
    )
    if options.clip is None:
        return f"It was trained without a clip. Of {of} {middle}."
    share = float(np.mean(norms > options.clip))
    return (
        f"It was trained with clip {options.clip:g}, which would act on {percent(share)} of {of}: "
        f"{middle}."
    )


def _share(share: float) -> str:
    """Return a share of what may have shrunk by many powers of ten, or have grown."""
    if share >= 10:
        return f"{share:,.3g} times"
    return percent(share, 1) if share >= 0.001 else f"{share:.0e}"


# Its matrices


def _spectra(options: CorpusOptions, spectra: Sequence[Spectrum]) -> Section:
    largest = max(spectra, key=lambda one: one.trained[0])
    first = max(spectra, key=lambda one: one.first[0])
    above = [
        np.concatenate([values > 1 for values in of]).mean()
        for of in ([one.first for one in spectra], [one.trained for one in spectra])
    ]
    grown = sum(one.trained[0] > one.first[0] for one in spectra)
    notes = []
    if options.weight_drop:
        notes.append(
            f"In training a share of {options.weight_drop:g} of these weights was zero at a time; "
            "here none is."
        )
    if options.mogrifier_rounds:
        notes.append(
            "The matrices with which a Mogrifier changes its state before the gates read it are "
            "not shown."
        )
    layers = groupby(spectra, key=lambda one: one.layer)
    return Section(
        "matrices",
        "What do the recurrent matrices do with a state?",
        "A singular value is how much a matrix stretches a state in one direction, dotted at the "
        "start of the training and drawn through at its end: above the grey line at 1 what is "
        "handed on can grow from step to step, below it shrinks.",
        f"The largest is {first.first[0]:.2f} at the start ({_part(first)}) and "
        f"{largest.trained[0]:.2f} at the end ({_part(largest)}); it has grown in {grown} of "
        f"{len(spectra)} matrices, and above 1 are {percent(above[0])} of all values at the start, "
        f"{percent(above[1])} at the end.",
        notes,
        [_spectrum(number, list(of)) for number, of in layers],
    )


def _spectrum(layer: int, spectra: Sequence[Spectrum]) -> Picture:
    told = "; ".join(
        f"{one.part} {one.first[0]:.2f} at the start, {one.trained[0]:.2f} at the end"
        for one in spectra
    )
    parts = {one.part: (one.first, one.trained) for one in spectra}
    return Picture(
        figures.spectra(parts, f"layer {layer}"), f"Largest singular values, layer {layer}: {told}."
    )


def _part(one: Spectrum | Saturation) -> str:
    name = one.part if isinstance(one, Spectrum) else one.gate
    return f"{name}, layer {one.layer}"


# Which words a prediction depends on


def _words(influences: Sequence[Influence]) -> Section:
    name, title = "words", "Which words does a prediction depend on?"
    if not influences:
        return Section(name, title, notes=["No sentence of validation is long enough to show it."])
    shares = [one.norms / (one.norms.sum() or 1.0) for one in influences]
    last, few = (np.mean([of[-count:].sum() for of in shares]) for count in (1, LAST))
    elsewhere = sum(int(one.norms.argmax()) < len(one.norms) - 1 for one in influences)
    return Section(
        name,
        title,
        "The stronger the colour of a word, the more the log-probability of the likeliest next "
        "word would change if the word's embedding moved a little; behind the arrow stand that "
        "word, its probability, and what the text says.",
        f"On average {percent(last)} of all colour lies on the last word and {percent(few)} on the "
        f"last {LAST}; in {elsewhere} of {len(influences)} sentences a word before the last "
        "matters most.",
        texts=[_influence(one) for one in influences],
    )


def _influence(one: Influence) -> Text:
    strongest = one.norms.max() or 1.0
    words = [
        Word(word, "up", round(STRONGEST * norm / strongest), f"{norm:.2g}")
        for word, norm in zip(one.words, one.norms, strict=True)
    ]
    right = "as in the text" if one.predicted == one.truth else f"in the text: {one.truth}"
    return Text("", words, f"→ {one.predicted} ({percent(one.probability)}; {right})")


# What single units do along a text


def _units(found: Inside) -> Section:
    name, title, units = "units", "What do single units follow?", found.units
    notes = [
        f"Nothing can be said of “{trait}”: in one half of what was read that never changes."
        for trait in found.absent
    ]
    if not units:
        return Section(name, title, notes=notes)
    ranked = sorted(units, key=lambda one: abs(one.correlation))
    weakest, clearest = ranked[0], ranked[-1]
    also = (
        f", least clearly “{weakest.trait}” ({weakest.correlation:+.2f})" if len(units) > 1 else ""
    )
    return Section(
        name,
        title,
        "For each trait the unit that goes most with it was found in the first half of what was "
        "read; its correlation and the text, the passage in which the trait varies most, are of "
        "the second half: orange is where the unit is above its mean, blue where it is below.",
        f"Most clearly a unit follows “{clearest.trait}” ({clearest.correlation:+.2f}){also}.",
        notes,
        texts=[_unit(one) for one in units],
    )


def _unit(one: Unit) -> Text:
    words = [
        Word(
            word,
            "up" if value > 0 else "down",
            round(STRONGEST * min(1.0, abs(value) / DEVIATIONS)),
            f"{value:+.1f}",
        )
        for word, value in zip(one.words, one.values, strict=True)
    ]
    title = (
        f"{one.trait}: unit {one.number} of layer {one.layer}, correlation {one.correlation:+.2f}"
    )
    return Text(title, words)


# Saturation of gates


def _gates(options: CorpusOptions, saturations: Sequence[Saturation]) -> Section:
    name, title = "gates", "How often are gates shut or wide open?"
    if not saturations:
        why = (
            "A Mogrifier changes input and state before its gates read them: they are not shown."
            if options.mogrifier_rounds
            else "A simple recurrent net has no gates."
        )
        return Section(name, title, notes=[why])
    closed = max(saturations, key=lambda one: one.low.mean())
    opened = max(saturations, key=lambda one: one.high.mean())
    gates: dict[str, dict[str, Saturation]] = {}
    for one in saturations:
        gates.setdefault(one.gate, {})[f"layer {one.layer}"] = one
    return Section(
        name,
        title,
        f"Each point is a unit: the further up, the more often its gate is below {LOW}, which is "
        f"shut; the further to the right, the more often above {HIGH}, which is wide open.",
        f"Most often shut is {_part(closed)} ({percent(closed.low.mean())} of its values), most "
        f"often open {_part(opened)} ({percent(opened.high.mean())}).",
        pictures=[_gate(gate, of) for gate, of in gates.items()],
        small=True,
        head=("gate", "layer", f"below {LOW}", f"above {HIGH}"),
        rows=[
            (one.gate, str(one.layer), percent(one.low.mean(), 1), percent(one.high.mean(), 1))
            for one in saturations
        ],
    )


def _gate(gate: str, layers: dict[str, Saturation]) -> Picture:
    told = "; ".join(
        f"{name} {percent(one.low.mean())} shut and {percent(one.high.mean())} open"
        for name, one in layers.items()
    )
    points = {name: (one.low, one.high) for name, one in layers.items()}
    return Picture(figures.saturation(points, f"{gate} gate"), f"The {gate} gate: {told}.")
