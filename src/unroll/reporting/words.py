"""Results as people write them: in tables, and in sentences."""

from collections.abc import Mapping
from typing import Any

import pandas as pd

from unroll.evaluation.statistics import MOST
from unroll.kinds.kind import Kind
from unroll.metrics import Metric
from unroll.options import Comparison, changes
from unroll.reporting.comparison import FEWEST, TWO_MODES, dicts

NAMED = 4  # options in which a variant differs; how many more there are is said


def markdown(
    kind: Kind[Any, Any],
    table: pd.DataFrame,
    verdicts: pd.DataFrame,
    comparison: Comparison,
    options: Mapping[str, Mapping[str, Any]],
) -> str:
    """Return the comparison of one task in Markdown: answers, a table, the best first, verdicts.

    The score that decides comes with its interval and the verdict, the others of its split with
    the standard deviation of the seeds. `options` holds those of each variant.
    """
    main, others = kind.main, beside(kind, table)
    values = shown_beside(kind, table)
    interval = f"{title(kind.deciding)} [{100 * comparison.confidence:g} % interval]"
    titles = [interval, "± of seeds", "verdict", *map(title, others)]
    lines = [
        f"**{question}** {answer}\n" for question, answer in answers(kind, verdicts, comparison)
    ]
    lines.append(f"| variant | differs by | parameters | seeds | {' | '.join(titles)} |")
    lines.append("| --- | --- | ---: | ---: | ---: | ---: | --- |" + " ---: |" * len(others))
    differs = differences(options)
    for row in dicts(ranked(kind, table)):
        cells = [show_interval(main, row), main.show_spread(row["std"]), in_words(row)]
        cells += values[row["variant"]]
        first = f"| {row['variant']} | {differs[row['variant']]} | {row['parameters']:,} |"
        lines.append(f"{first} {row['seeds']} | {' | '.join(cells)} |")
    lines += ["", *(f"- {sentence}" for sentence in sentences(kind, verdicts, comparison))]
    return "\n".join(lines).rstrip("\n") + "\n"


def beside(kind: Kind[Any, Any], table: pd.DataFrame) -> list[str]:
    """Return the scores of the split that decides but for the one that does."""
    scores = dict.fromkeys(table["metric"])
    return [s for s in scores if kind.decides_with(s) and s != kind.deciding]


def shown_beside(kind: Kind[Any, Any], table: pd.DataFrame) -> dict[str, list[str]]:
    """Return each variant's values of these scores, ± the standard deviation of the seeds."""
    scores, rows = beside(kind, table), {(r["variant"], r["metric"]): r for r in dicts(table)}
    return {
        variant: [
            kind.metric(score).show(rows[variant, score]["mean"], rows[variant, score]["std"])
            for score in scores
        ]
        for variant in table["variant"].unique()
    }


def percent(share: float, digits: int = 0) -> str:
    """Return a share from 0 to 1 in percent."""
    return f"{100 * share:.{digits}f} %"


def of_factors(metric: Metric, effects: pd.DataFrame) -> str:
    """Return in Markdown what each option does by itself, and which of them change each other."""
    if effects.empty:
        return ""
    alone, both = effects[effects["beside"] == ""], effects[effects["beside"] != ""]
    told = both[both["verdict"].isin(["better", "worse"])]
    lines = ["", "In the mean over all other options:", ""]
    lines += [f"- {in_a_sentence(metric, row)}" for row in dicts(alone)]
    if len(both):
        count = f"{len(told)} of {len(both)} pairs of values"
        lines += ["", f"That they change each other’s effect can be told of {count}.", ""]
        lines += [
            f"- {row['variant']}, beside {row['beside']}: {show_difference(metric, row)}"
            for row in dicts(told)
        ]
    return "\n".join(lines).rstrip("\n") + "\n"


def answers(
    kind: Kind[Any, Any], verdicts: pd.DataFrame, comparison: Comparison
) -> list[tuple[str, str]]:
    """Return the questions that a study asks about variants of one task, with their answers."""
    short = {"better": "Yes.", "worse": "No, it does harm.", TWO_MODES: "In some seeds."}
    deciding = verdicts[verdicts["metric"] == kind.deciding].set_index("variant", drop=False)
    return [
        (
            question,
            f"{short.get(row['verdict'], 'That cannot be told.')} {in_a_sentence(kind.main, row)}",
        )
        for variant, question in comparison.questions.items()
        if variant in deciding.index
        for row in dicts(deciding.loc[[variant]])
    ]


def differences(options: Mapping[str, Mapping[str, Any]]) -> dict[str, str]:
    """Return what options each variant has that the first has not, in words."""
    first = next(iter(options.values()))
    changed = {variant: changes(own, first) for variant, own in options.items()}
    return {
        variant: ", ".join(of[:NAMED]) + (f" and {len(of) - NAMED} more" if of[NAMED:] else "")
        for variant, of in changed.items()
    }


def sentences(kind: Kind[Any, Any], verdicts: pd.DataFrame, comparison: Comparison) -> list[str]:
    """Return what the verdicts of one task say that answer no question, each in a sentence."""
    deciding = verdicts[verdicts["metric"] == kind.deciding]
    rest = deciding[~deciding["variant"].isin(comparison.questions)]
    return [in_a_sentence(kind.main, row) for row in dicts(rest)]


def ranked(kind: Kind[Any, Any], table: pd.DataFrame) -> pd.DataFrame:
    """Return the rows of the score that decides, the best variant first."""
    rows = table[table["metric"] == kind.deciding]
    return rows.sort_values("mean", ascending=not kind.main.higher_is_better)


def title(score: str) -> str:
    """Return a score's name in words."""
    return score.replace("_", " ")


def in_words(row: Mapping[str, Any]) -> str:
    """Return a verdict with what it is about."""
    if pd.isna(row["reference"]):
        return ""
    if row["verdict"] in ("better", "worse"):
        return f"{row['verdict']} than {row['reference']}"
    return f"{row['verdict']} (against {row['reference']})"


def show_interval(metric: Metric, row: Mapping[str, Any]) -> str:
    """Return a mean with its interval, as people write it; where there is none, why."""
    if isinstance(row["modes"], str):
        return f"{metric.show(row['mean'])} [{row['modes']}]"
    if pd.isna(row["low"]):
        reason = "one seed" if row["seeds"] == 1 else "no spread"
        return f"{metric.show(row['mean'])} [none: {reason}]"
    return metric.show_interval(row["mean"], row["low"], row["high"])


def in_a_sentence(metric: Metric, row: Mapping[str, Any]) -> str:
    """Say what a row of verdicts says: how much better or worse, and how sure that is."""
    variant, reference, verdict = row["variant"], row["reference"], row["verdict"]
    if row["seeds"] == 0:
        return f"{variant} against {reference}: no seed in common."
    seen = f"{show_difference(metric, row)}, {_ahead(row)}"
    told, two = verdict in ("better", "worse"), isinstance(row["modes"], str)
    if told and two:
        return (
            f"{variant} is {verdict} than {reference} by the share of its seeds that learn "
            f"({row['modes']})."
        )
    if told:
        return f"{variant} is {verdict} than {reference}: {seen}."
    if row["seeds"] < FEWEST:
        return f"{variant} against {reference}: {seen}; {verdict}."
    if pd.isna(row["p_corrected"]):  # no spread, of seeds or of items
        seen = seen if row["difference"] else "no difference, on any item of any seed"
        return f"{variant} against {reference}: {seen}. There is nothing to tell it from chance by."
    of = f"corrected for {row['comparisons']} comparisons" if row["comparisons"] > 1 else ""
    p = f"p = {row['p_corrected']:.2g}" + (f", {of}" if of else "")
    if two:
        return (
            f"{variant} against {reference}: seeds of two kinds ({row['modes']}), {_ahead(row)}; "
            f"whether more seeds of one learn cannot be told ({p})."
        )
    return f"{variant} against {reference}: {seen}. That is too little to tell ({p}); {_more(row)}."


def _ahead(row: Mapping[str, Any]) -> str:
    """Say in how many seeds a variant is ahead of its reference."""
    ahead, seeds = int(row["ahead"]), int(row["seeds"])
    every = "both" if seeds == 2 else f"all {seeds}"
    count = {0: f"none of {seeds}", seeds: every}.get(ahead, f"{ahead} of {seeds}")
    return f"ahead in {count} seeds"


def _more(row: Mapping[str, Any]) -> str:
    """Say how many seeds would tell a difference of the size that was seen."""
    if pd.isna(row["seeds_that_tell"]):
        return f"not even {MOST} seeds would tell a difference of this size"
    return f"about {int(row['seeds_that_tell'])} seeds would tell a difference of this size"


def show_difference(metric: Metric, row: Mapping[str, Any]) -> str:
    """Return a difference with its interval."""
    return metric.show_difference(row["difference"], row["low"], row["high"])
