"""How often what the report says of seeds is true, where the truth is known.

Its tables stand in docs/verdicts.md.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import click
import numpy as np

from unroll.evaluation.modes import modes
from unroll.evaluation.statistics import estimate, holm
from unroll.metrics import EXACT_MATCH
from unroll.reporting.comparison import against, verdict
from unroll.seeds import numpy_generator

CONFIDENCE = 0.95
ITEMS = 1000
OF_ITEMS = 0.15  # standard deviation of how hard items are
VARIANTS = 6  # that are compared with one reference
STUCK, LEARNED, SHARE = 0.10, 0.86, 0.25  # of seeds that get stuck or not, and how many do not
MEAN = SHARE * LEARNED + (1 - SHARE) * STUCK

Random = np.random.Generator
Drawn = tuple[np.ndarray, np.ndarray]  # what each seed (S, 1) brings, and the mean of its kind


def normal(mean: float, std: float) -> Callable[[int, Random], Drawn]:
    """Return what draws seeds of one kind."""

    def draw(seeds: int, random: Random) -> Drawn:
        return random.normal(mean, std, (seeds, 1)), np.full(seeds, mean)

    return draw


def two_kinds(seeds: int, random: Random) -> Drawn:
    """Draw seeds of which a quarter learn, and the others get stuck."""
    means = np.where(random.random(seeds) < SHARE, LEARNED, STUCK)
    return random.normal(means, 0.02)[:, None], means


# What the root study showed first, in shares: the mean of a variant, and the spread of its seeds.
SHOWN = {
    "baseline": normal(0.121, 0.019),
    "reversed": normal(0.388, 0.102),
    "peeky": normal(0.9485, 0.037),  # 0.947, once what is above 1 is cut off
    "reversed-peeky": normal(0.992, 0.004),
    "attention": two_kinds,
    "wide": normal(0.135, 0.042),
    "state-bridge": normal(0.204, 0.037),
}
REFERENCES = {"peeky": "wide", "reversed-peeky": "peeky"}  # others: baseline
# The study as it was first, and as it is: what shares the error that its verdicts may make.
STUDIES = {
    "power": [name for name in SHOWN if name != "baseline"],
    "power of four": ["reversed", "peeky", "reversed-peeky", "wide"],
}
# What is drawn for the reference, and for the variants; the true means are equal.
EQUAL = {
    "normal": (normal(MEAN, 0.04), normal(MEAN, 0.04)),
    "reference of two kinds": (two_kinds, normal(MEAN, 0.04)),
    "variants of two kinds": (normal(MEAN, 0.04), two_kinds),
    "all of two kinds": (two_kinds, two_kinds),
}


HEAD = (
    "seeds are",
    "seeds",
    "said: two kinds",
    "interval holds the mean of the kinds drawn",
    "of all seeds",
    "wrong verdict of the kinds drawn",
    "of all seeds",
)


@dataclass
class Counted:
    """What was found of many studies."""

    studies: int = 0
    told: int = 0  # studies in which a verdict was given on equal means
    told_alike: int = 0  # of these, where it is not true of the kinds that were drawn either
    means: int = 0  # variants
    two: int = 0  # of these, said to be of two kinds
    covered: int = 0  # intervals that hold the mean of the kinds that were drawn
    covered_all: int = 0  # intervals that hold the mean of all seeds there could be

    def row(self, setting: str, seeds: int) -> str:
        """Return them as a line of a table."""
        intervals = max(self.means - self.two, 1)
        shares = [
            self.two / self.means,
            self.covered / intervals,
            self.covered_all / intervals,
            self.told_alike / self.studies,
            self.told / self.studies,
        ]
        return f"| {setting} | {seeds} | " + " | ".join(f"{100 * s:.1f} %" for s in shares) + " |"


def answers(rates: np.ndarray, hardness: np.ndarray, random: Random) -> np.ndarray:
    """Return right and wrong answers (S, I) of seeds with these rates (S, 1)."""
    return (random.random((len(rates), ITEMS)) < rates + hardness).astype(float)


def study(setting: str, seeds: int, random: Random, counted: Counted) -> None:
    """Draw a study whose variants are all equally good, and count what would be said of it."""
    of_reference, of_variants = EQUAL[setting]
    hardness = random.normal(0, OF_ITEMS, (1, ITEMS))
    # Cut off at 0 and 1 alike, so that the means remain the truth.
    hardness = np.clip(hardness - hardness.mean(), -STUCK + 0.05, STUCK - 0.05)
    drawn = [of_reference(seeds, random), *(of_variants(seeds, random) for _ in range(VARIANTS))]
    outcomes = [answers(rates, hardness, random) for rates, _ in drawn]
    means = [of.mean() for _, of in drawn]
    for of, mean in zip(outcomes, means, strict=True):
        counted.means += 1
        if modes(of.mean(axis=1)):
            counted.two += 1
            continue
        found = estimate(of, CONFIDENCE)
        counted.covered += found.low <= mean <= found.high
        counted.covered_all += found.low <= MEAN <= found.high
    given = verdicts([(of, outcomes[0]) for of in outcomes[1:]])
    true = np.sign([mean - means[0] for mean in means[1:]])
    counted.studies += 1
    counted.told += bool(given.any())
    counted.told_alike += bool((given * true < given**2).any())


def verdicts(pairs: list[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Return what is said of each variant against its reference: 1 better, -1 worse, 0 nothing."""
    rows = [
        {"seeds": len(ours), "modes": None}
        | against(EXACT_MATCH, {"variant": ours, "reference": theirs}, CONFIDENCE, len(pairs))
        for ours, theirs in pairs
    ]
    corrected = holm([row["p_value"] for row in rows])
    told = [
        verdict({**row, "p_corrected": p}, 1 - CONFIDENCE)
        for row, p in zip(rows, corrected, strict=True)
    ]
    return np.array([{"better": 1, "worse": -1}.get(one, 0) for one in told])


def power(variants: Sequence[str], seeds: int, rounds: int, random: Random) -> np.ndarray:
    """Return how often each variant of a study is told from its reference."""
    told = np.zeros(len(variants))
    for _ in range(rounds):
        hardness = np.clip(random.normal(0, 0.05, (1, ITEMS)), -0.05, 0.05)
        drawn = {
            name: answers(draw(seeds, random)[0], hardness, random)
            for name, draw in SHOWN.items()
            if name in ("baseline", *variants)
        }
        pairs = [
            (of, drawn[REFERENCES.get(name, "baseline")])
            for name, of in drawn.items()
            if name != "baseline"
        ]
        told += verdicts(pairs) != 0
    return told / rounds


@click.command()
@click.option("--rounds", default=1000, show_default=True, help="Studies drawn for each line.")
@click.option("--quick", is_flag=True, help="Five studies: the figures say nothing.")
def main(rounds: int, quick: bool) -> None:
    """Print how often intervals hold the truth, and verdicts are wrong or missing.

    \b
    Examples:
      python benchmarks/verdicts.py
      python benchmarks/verdicts.py --rounds 100
    """
    rounds = 5 if quick else rounds
    print(f"| {' | '.join(HEAD)} |\n| --- |{' ---: |' * (len(HEAD) - 1)}")
    for setting in EQUAL:
        for seeds in (4, 8, 12):
            counted, random = Counted(), numpy_generator(0, "verdicts", setting, str(seeds))
            for _ in range(rounds):
                study(setting, seeds, random, counted)
            print(counted.row(setting, seeds), flush=True)
    for name, variants in STUDIES.items():
        told = [power(variants, n, rounds, numpy_generator(0, name, str(n))) for n in (4, 8, 12)]
        print(f"\n| of {len(variants)} comparisons, told | 4 seeds | 8 seeds | 12 seeds |")
        print("| --- | ---: | ---: | ---: |")
        for variant, shares in zip(variants, zip(*told, strict=True), strict=True):
            print(f"| {variant} | " + " | ".join(f"{100 * share:.0f} %" for share in shares) + " |")


if __name__ == "__main__":
    main()
