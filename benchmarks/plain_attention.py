"""BLEU of a study's variant against a plain loop with attention, trained as long on the same data.

    python benchmarks/plain_attention.py --study sentences
    python benchmarks/plain_attention.py --quick          made-up pairs: the figures say nothing

The plain loop is what one writes in an afternoon (references/attention.py). Sizes
and batch size are those of the variant. First the variant is trained with seed 0, then the loop for
as many seconds of the CPU, in one process with one thread; validation counts for neither. Both
answer the test split greedily.
"""

import time
from collections.abc import Sequence

import click

from references.attention import PlainLoop
from trainings import training
from unroll import study
from unroll.data.pairs import Pairs, load_pairs
from unroll.errors import UserError
from unroll.evaluation.accuracy import accuracy
from unroll.evaluation.texts import score_texts
from unroll.options import PairsOptions
from unroll.tasks.translation import Translation, TranslationOptions
from unroll.training.loop import Training

TOY = {
    "embedding_size": 16,
    "hidden_size": 16,
    "epochs": 3,
    "batch_size": 16,
    "learning_rate": 0.01,
    "decoder": "attention",
    "padding": "masked",
    "optimizer": "adam",
    "clip": 1.0,
}


def of_study(name: str, variant: str) -> tuple[Pairs, PairsOptions]:
    """Return the prepared pairs of a study's variant, and its options.

    Raises:
        UserError: there is no such variant of pairs with texts, or its data were not prepared.
    """
    found = study.load(name)
    options = found.variants.get(variant)
    if not isinstance(options, PairsOptions):
        raise UserError(f"{variant} is no variant of pairs in the study {name}")
    pairs = load_pairs(found.prepared(options.task))
    if pairs.texts is None:
        raise UserError(f"the task {options.task} keeps no texts: nothing for BLEU")
    return pairs, options


def toy() -> tuple[Pairs, PairsOptions]:
    """Return a few numbers in words, and the options of a small model."""
    data = {"kind": "translation", "train": 200, "valid": 20, "test": 20}
    pairs = Translation(TranslationOptions.model_validate(data)).prepare()
    return pairs, training("pairs", pairs, **TOY).objective.options


def trained(one: Training) -> float:
    """Train to the end; return the seconds of the CPU that the steps took."""
    one.objective.model.train()
    started = time.process_time()
    for epoch in range(1, one.epochs + 1):
        for loss in one.objective.losses(epoch):
            one.step(loss)
        print(f"  epoch {epoch}/{one.epochs}  loss {one.mean_loss():.4f}", flush=True)
        one.steps, one.total = 0, None
    return time.process_time() - started


def told(name: str, pairs: Pairs, texts: Sequence[str]) -> None:
    """Print BLEU, chrF and exact match of answers to the test split, with the signature."""
    references, unit = pairs.references("test"), pairs.form.answers.unit
    bleu, signature = score_texts("bleu", texts, references, unit)
    chrf, _ = score_texts("chrf", texts, references, unit)
    right = sum(text in of for text, of in zip(texts, references, strict=True)) / len(texts)
    print(
        f"{name}: BLEU {bleu.values.mean():.1f}, chrF {chrf.values.mean():.1f}, exact match "
        f"{right:.1%} ({signature})"
    )


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.option("--study", "name", metavar="NAME", help="A study whose data were prepared.")
@click.option("--variant", default="attention", show_default=True)
@click.option("--quick", is_flag=True, help="Toy size: few numbers in words, a small model.")
def main(name: str | None, variant: str, quick: bool) -> None:
    if not quick and name is None:
        raise click.UsageError("name a study of translation: --study NAME, or --quick")
    try:
        pairs, options = toy() if quick else of_study(name, variant)
    except UserError as error:
        raise click.ClickException(str(error)) from None
    one = training("pairs", pairs, **options.model_dump())
    seconds = trained(one)
    texts = accuracy(one.objective.model, pairs, "test", options.padding, "cpu").texts
    loop = PlainLoop(pairs, options)
    epochs = loop.train(seconds)
    machine = one.objective.machine
    print(
        f"{len(pairs.sources['train']):,} pairs, {seconds:,.0f} CPU seconds for each, "
        f"{machine.precision}, one thread"
    )
    told(f"{variant}, {options.epochs} epochs", pairs, texts)
    told(f"plain loop, {epochs:.1f} epochs", pairs, loop.answers("test"))


if __name__ == "__main__":
    main()
