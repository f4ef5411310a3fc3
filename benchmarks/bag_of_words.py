"""What can be had of a study of labels without any net: the commonest label, and a bag of words.

    python benchmarks/bag_of_words.py --study labels
    python benchmarks/bag_of_words.py --quick            made-up brackets: the figures say nothing

The bag of words is logistic regression on the counts of symbols, or on these weighed by how rare
they are (tf-idf), with scikit-learn. Which, and how strongly its weights are held down, is chosen
on the validation split; the test split is asked once. The plain one (counts, C = 1) is what stands
in most tutorials.
"""

from itertools import product

import click
import numpy as np
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.pipeline import Pipeline, make_pipeline

from unroll import study
from unroll.data.labels import Labelled, load_labelled
from unroll.errors import UserError
from unroll.tasks.brackets import Brackets, BracketsOptions

WEIGHTS = {"counts": CountVectorizer, "tf-idf": TfidfVectorizer}
STRENGTHS = (0.1, 1.0, 10.0, 100.0)  # C: the greater, the less are weights held down


def bag(data: Labelled, weights: str, strength: float) -> Pipeline:
    """Return a bag of words that has learned train."""
    words = WEIGHTS[weights](tokenizer=data.form.source.split, lowercase=False, token_pattern=None)
    model = make_pipeline(words, LogisticRegression(C=strength, max_iter=2000))
    return model.fit(data.questions("train"), np.asarray(data.labels["train"]))


def prepared(name: str, task: str | None) -> Labelled:
    """Return the data of a task of a study."""
    of = study.load(name)
    task = task or next(iter(of.tasks))
    if of.task(task).kind != "labels":
        raise UserError(f"{task} is no task of labels")
    with of.remedy(f"prepare@{task}"):
        return load_labelled(of.prepared(task))


def line(name: str, expected: np.ndarray, given: np.ndarray) -> str:
    """Return a line of the table."""
    occurring = np.unique(expected)
    f1 = f1_score(expected, given, labels=occurring, average="macro", zero_division=0)
    return f"| {name} | {100 * (expected == given).mean():.1f} % | {100 * f1:.1f} % |"


@click.command()
@click.option("--study", "name", default="labels", show_default=True, help="It must be prepared.")
@click.option("--task", help="By default the study's first one.")
@click.option("--quick", is_flag=True, help="Made-up brackets: the figures say nothing.")
def main(name: str, task: str | None, quick: bool) -> None:
    """Print accuracy and macro F1 on the test split without any net.

    \b
    Examples:
      python benchmarks/bag_of_words.py
      python benchmarks/bag_of_words.py --study mine --task sentiment
    """
    if quick:
        data = Brackets(BracketsOptions(kind="brackets", train=100, valid=20, test=20)).prepare()
    else:
        try:
            data = prepared(name, task)
        except UserError as error:
            raise click.ClickException(str(error)) from None
    numbers = {split: np.asarray(of) for split, of in data.labels.items()}
    bags = {of: bag(data, *of) for of in product(WEIGHTS, STRENGTHS)}
    scores = {of: b.score(data.questions("valid"), numbers["valid"]) for of, b in bags.items()}
    best, test = max(scores, key=lambda of: scores[of]), data.questions("test")
    common = np.full_like(numbers["test"], np.bincount(numbers["train"]).argmax())
    print("| | test accuracy | test macro F1 |\n| --- | ---: | ---: |")
    print(line("the commonest label", numbers["test"], common))
    print(line("counts, C = 1", numbers["test"], bags["counts", 1.0].predict(test)))
    print(line(f"{best[0]}, C = {best[1]:g}", numbers["test"], bags[best].predict(test)))


if __name__ == "__main__":
    main()
