"""The command line: one command per DVC stage, and the interactive ones.

Heavy modules are imported inside the command that needs them, so that `--help` is quick.
"""

import atexit
import errno
import functools
import gc
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from unroll.errors import UserError, system_fault
from unroll.lifetime import end_with_dvc, listen, number_of, settle

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


class Group(click.Group):
    """A group that prints an error which the user can mend in one message, no traceback."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; an error that the user can mend ends it with the error's exit code."""
        atexit.register(gc.freeze)  # else a second is spent, at the end, on garbage of PyTorch's
        settle()
        listen()
        end_with_dvc()
        try:
            return super().invoke(ctx)
        except UserError as error:
            click.echo(f"error: {error}", err=True)
            sys.exit(error.exit_code)
        except (Exception, KeyboardInterrupt) as error:
            if fault := system_fault(error):
                if getattr(error, "errno", None) == errno.EPIPE:  # `… | head`
                    raise
                click.echo(f"error: {fault}", err=True)
                sys.exit(1)
            number = number_of(error)
            if number is None:
                raise
            click.echo("interrupted; the same command goes on from here", err=True)
            sys.exit(128 + number)


def pass_study(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the study that --study names, before it or behind it.

    It is read when it is needed: not for --help.
    """

    @click.option("--study", "own_study", metavar="NAME", help="As `unroll --study NAME`.")
    @click.pass_context
    @functools.wraps(command)
    def with_study(
        context: click.Context, /, *arguments: Any, own_study: str | None, **options: Any
    ) -> None:
        from unroll import study

        command(study.load(own_study or context.obj), *arguments, **options)

    return with_study


@click.group(cls=Group, context_settings=CONTEXT)
@click.option(
    "--study",
    default="root",
    envvar="UNROLL_STUDY",
    show_default=True,
    help="The study: root, or the name of a folder in pipeline/.",
)
@click.version_option(package_name="unroll")
@click.pass_context
def main(context: click.Context, study: str) -> None:
    """Train recurrent models and compare their variants.

    DVC calls the stages (plan, prepare, size, train, evaluate, generate, report, track). The other
    commands, and track, are for you. Run it in the project's root folder.

    \b
    Examples:
      dvc repro                                  everything that is out of date
      unroll train peeky                         one stage by hand
      unroll ask 57+5                            an answer from the best addition model
      unroll complete "the meaning of life is"   a text continued
    """
    context.obj = study


@main.command()
@click.argument("name")
@click.option("--like", default="quick", show_default=True, help="The study to begin from.")
@click.option("--pairs", type=Path, help="A file with a pair on each line, a tab between.")
def new_study(name: str, like: str, pairs: Path | None) -> None:
    """Make the study NAME: a folder in pipeline/ with the stages that all studies have.

    With --pairs it learns your own pairs of texts: sentences and their translations, questions
    and answers, texts and their summaries.

    \b
    Examples:
      unroll new-study wide-or-deep
      unroll new-study ptb --like root
      unroll new-study replies --pairs replies.tsv
    """
    from unroll.stages.new_study import new_study

    new_study(name, like, pairs)


@main.command()
@pass_study
def plan(study: Any) -> None:
    """Write what each stage does with each variant: what DVC compares to know what must run.

    A plan holds a variant's options and what its code brings at toy size. Where an edit of
    src/unroll changes no plan, nothing trains again.

    \b
    Examples:
      unroll plan
      unroll --study quick plan
    """
    from unroll.stages.plan import plan

    plan(study)


@main.command()
@click.argument("task")
@pass_study
def prepare(study: Any, task: str) -> None:
    """Build the data of TASK, an entry of `tasks` in the params file.

    \b
    Examples:
      unroll prepare addition
      unroll --study quick prepare grammar
    """
    from unroll.stages.prepare import prepare

    prepare(study, task)


@main.command()
@click.argument("task")
@pass_study
def size(study: Any, task: str) -> None:
    """Find hidden size and parameter count of each variant of TASK.

    Where a variant says `match_parameters: peeky`, its hidden size is the one that brings
    its parameter count nearest to peeky's.

    \b
    Example:
      unroll size addition
    """
    from unroll.stages.size import size

    size(study, task)


@main.command()
@click.argument("variant")
@click.option("--again", is_flag=True, help="Also the seeds that are trained already.")
@pass_study
def train(study: Any, variant: str, again: bool) -> None:
    """Train the seeds of VARIANT, an entry of `variants` in the params file, side by side.

    Seeds that were trained already, with the same behaviour and data, are kept.

    What is not committed is kept with the runs, as a diff that all can read who read the runs.
    Files whose names say that they hold secrets are left out; UNROLL_KEEP_DIFF=no leaves all out.

    \b
    Examples:
      unroll train baseline
      unroll --study quick train reversed-peeky --again
    """
    from unroll.stages.train import train

    train(study, variant, again)


@main.command()
@click.argument("variant")
@pass_study
def evaluate(study: Any, variant: str) -> None:
    """Score the trained seeds of VARIANT on validation and test.

    \b
    Example:
      unroll evaluate peeky
    """
    from unroll.stages.evaluate import evaluate

    evaluate(study, variant)


@main.command()
@click.argument("variant")
@pass_study
def generate(study: Any, variant: str) -> None:
    """Let VARIANT write, if it is a language model, as the section `generate` of the params says.

    \b
    Example:
      unroll generate rnnlm
    """
    from unroll.stages.generate import generate

    generate(study, variant)


@main.command()
@click.option("--readme", is_flag=True, help="Only put the results into the study's README.md.")
@click.option("--check", is_flag=True, help="Only compare reports/ with what git has committed.")
@pass_study
def report(study: Any, readme: bool, check: bool) -> None:
    """Compare all variants: tables with intervals and verdicts, learning curves, in reports/.

    --check says which results differ from the committed ones by more than seeds explain, and
    ends with 1 where one does.

    \b
    Examples:
      unroll report
      unroll report --readme
      unroll report --check
    """
    from unroll.stages import report as stage

    if readme:
        stage.rewrite_readme(study)
    if check:
        stage.check(study)
    if not (readme or check):
        stage.report(study)


@main.command()
@click.option("--best-effort", is_flag=True, help="Where MLflow cannot be written, only warn.")
@pass_study
def track(study: Any, best_effort: bool) -> None:
    """Bring MLflow to what the outputs of the study imply.

    Creates the runs and models that are missing (after `dvc pull`, in a new database),
    completes what is partial (after a kill, or when MLflow was away), leaves the rest. Twice
    in a row changes nothing; where no file has changed it says so without asking MLflow.
    MLFLOW_TRACKING_URI names another database or server.

    \b
    Examples:
      unroll track
      unroll --study quick track
    """
    from unroll.stages.track import track

    track(study, best_effort)


@main.command()
@click.argument("space", type=Path)
@click.option(
    "--storage",
    metavar="URL",
    envvar="UNROLL_SWEEP_STORAGE",
    show_envvar=True,
    help="The database of the trials: a PostgreSQL server, or sqlite:///sweeps.db.",
)
@pass_study
def sweep(study: Any, space: Path, storage: str | None) -> None:
    """Search among options of a variant, as the file SPACE says: docs/sweep.md.

    Each trial trains it with other options, as far as it does well on validation; the test split
    is not asked. What was broken off goes on with the same command. Type it in several terminals,
    or with a PostgreSQL server on several machines, and they share the trials.

    \b
    Examples:
      unroll --study quick sweep pipeline/quick/sweep.yaml
      unroll sweep widths.yaml --storage postgresql://me@host/sweeps
    """
    from unroll.stages.sweep import sweep

    sweep(study, space, storage)


@main.command()
@click.argument("file", type=Path)
@click.option("--variant", required=True, help="The variant that is such a model.")
@click.option("--name", help="What to call it; by default as the file.")
@click.option("--characters", help="The characters in the order in which the book numbers them.")
@click.option("--replace", is_flag=True, help="In place of an earlier import of this name.")
@pass_study
def import_book(
    study: Any, file: Path, variant: str, name: str | None, characters: str | None, replace: bool
) -> None:
    """Score and register what `save_params` of "Deep Learning from Scratch 2" wrote into FILE.

    The file is a pickle; it is read, and nothing of it is run. The variant says which model it is
    and on which data it is scored; its sizes D and H are those of the file. The book numbers the
    characters of addition.txt as they come: where that is the task's `source`, so does the task,
    else say in which order. Nothing of what was trained here is replaced.

    \b
    Examples:
      unroll import-book Rnnlm.pkl --variant rnnlm
      unroll import-book PeekySeq2seq.pkl --variant peeky --characters "16+75 _920384"
    """
    from unroll.stages.import_book import import_book

    import_book(study, file, variant, name, characters, replace)


@main.command()
@click.option("--seeds", is_flag=True, help="A row per seed, not per variant.")
@click.option("--task", multiple=True, help="Only this task; may be given several times.")
@click.option("--variant", multiple=True, help="Only this variant; may be given several times.")
@click.option("--metric", multiple=True, help="Only this metric; may be given several times.")
@click.option("--csv", is_flag=True, help="As CSV.")
@pass_study
def compare(
    study: Any,
    seeds: bool,
    task: tuple[str, ...],
    variant: tuple[str, ...],
    metric: tuple[str, ...],
    csv: bool,
) -> None:
    """Print the runs that MLflow holds: metrics of the last epoch, means of the seeds.

    \b
    Examples:
      unroll compare
      unroll compare --task addition --metric test_exact_match
      unroll compare --seeds --variant peeky --csv > peeky.csv
    """
    from unroll.stages.compare import Filters, compare

    compare(study, "seed" if seeds else "variant", Filters(task, variant, metric), csv)


# Options of several commands that ask a model. One that is not given is left to the model.

beam_width = click.option(
    "--beam-width", type=click.IntRange(1, 100), help="Search so many ways at once."
)
length_penalty = click.option(
    "--length-penalty", type=click.FloatRange(0, 10), help="1 favours long answers."
)
alternatives = click.option(
    "--alternatives", "count", type=click.IntRange(1, 100), default=1, help="Print the best N."
)
temperature = click.option(
    "--temperature", type=click.FloatRange(min=0), help="0: the likeliest word."
)
top_k = click.option(
    "--top-k", type=click.IntRange(min=0), help="Only the k likeliest words; 0: all."
)
top_p = click.option(
    "--top-p",
    type=click.FloatRange(min=0, max=1, min_open=True),
    help="Only the likeliest words that have this probability together.",
)


def given(options: dict[str, Any]) -> dict[str, Any]:
    """Return the options that were given."""
    return {name: value for name, value in options.items() if value is not None}


@main.command()
@click.argument("question")
@click.option("--variant", help="Who answers; by default the best by validation.")
@click.option("--task", help="What the question is of; by default the study's first such task.")
@beam_width
@length_penalty
@click.option("--longest-ratio", type=click.FloatRange(0, 1000), help="Symbols for each read.")
@click.option("--replace-unknown", is_flag=True, default=None, help="Copy words for <unk>.")
@alternatives
@click.option("--map", "picture", type=Path, help="Draw what attention looked at: FILE.svg")
@pass_study
def ask(
    study: Any,
    question: str,
    variant: str | None,
    task: str | None,
    count: int,
    picture: Path | None,
    **request: Any,
) -> None:
    """Answer QUESTION with a trained model that answers: a sequence or a label.

    \b
    Examples:
      unroll ask 57+5
      unroll ask 57+5 --variant baseline
      unroll ask 57+5 --alternatives 3
      unroll --study dates ask "27 mai 1994" --variant attention --map may.svg
    """
    from unroll.stages.interactive import ask

    ask(study, question, task, variant, count, picture, given(request))


@main.command()
@click.argument("file", type=Path)
@click.option("--variant", help="Who says it; by default the best by validation.")
@click.option("--task", help="What it has learned; by default the study's first such task.")
@beam_width
@length_penalty
@alternatives
@click.option("--map", "picture", type=Path, help="Draw where each word looked: FILE.svg")
@pass_study
def caption(
    study: Any,
    file: Path,
    variant: str | None,
    task: str | None,
    count: int,
    picture: Path | None,
    **request: Any,
) -> None:
    """Say what is on the picture FILE (PNG, JPEG, …), with a model that was trained on captions.

    \b
    Examples:
      unroll --study captions caption photo.jpg
      unroll --study captions caption photo.jpg --alternatives 3
      unroll --study captions caption photo.jpg --variant attention --map looks.svg
    """
    from unroll.stages.interactive import caption

    caption(study, file, task, variant, count, picture, given(request))


@main.command()
@click.option("--variant", help="Who answers; by default the best by validation.")
@click.option("--task", help="What it has learned; by default the study's first dialogue.")
@temperature
@top_k
@top_p
@beam_width
@click.option("--seed", type=click.IntRange(min=0), help="Another seed, another conversation.")
@pass_study
def chat(study: Any, variant: str | None, task: str | None, **chosen: Any) -> None:
    """Talk with a model that was trained on dialogue, line by line.

    /new begins anew, /bye or the end of the input ends. It knows of what was said before as much
    as it was trained with.

    \b
    Examples:
      unroll --study chatbot chat
      unroll --study chatbot chat --temperature 0.7 --top-k 20
      echo "How are you?" | unroll --study chatbot chat
    """
    from unroll.stages.interactive import chat

    chat(study, task, variant, given(chosen))


@main.command()
@click.argument("variant")
@click.option("--output", type=Path, help="FILE.html; by default inside-VARIANT.html in reports/.")
@pass_study
def inside(study: Any, variant: str, output: Path | None) -> None:
    """Look inside VARIANT, a trained language model: writes a page, and changes nothing else.

    How far back gradients reach, the singular values of its matrices, the words on which its
    predictions depend, what single units follow, how often its gates are shut. The page quotes the
    validation split of the data, whose licence may forbid to pass that on (that of the Penn
    Treebank does): git ignores it where it lies by default.

    \b
    Examples:
      unroll inside rnnlm
      unroll --study quick inside better-rnnlm --output look.html
    """
    from unroll.stages.inside import inside

    inside(study, variant, output)


@main.command()
@click.argument("prompt")
@click.option("--variant", help="Who writes; by default the best by validation.")
@click.option("--task", help="What it has learned; by default the study's first text.")
@click.option("--samples", type=click.IntRange(min=1), help="How many continuations.")
@click.option("--length", type=click.IntRange(min=1), help="Words to write.")
@temperature
@top_k
@top_p
@click.option(
    "--min-p",
    type=click.FloatRange(0, 1),
    help="Only words that have this share of the greatest probability.",
)
@click.option(
    "--repetition-penalty",
    type=click.FloatRange(1, 10),
    help="Above 1, words that stand there already become less likely.",
)
@beam_width
@length_penalty
@click.option("--skip", multiple=True, help="A word not to write; may be given several times.")
@click.option("--seed", type=click.IntRange(min=0), help="Another seed, another text.")
@pass_study
def complete(
    study: Any, /, prompt: str, variant: str | None, task: str | None, **chosen: Any
) -> None:
    """Continue PROMPT with a trained language model.

    What is not given here is as the section `generate` of the params file says. A beam searches
    for the likeliest ways to end the sentence; it draws nothing.

    \b
    Examples:
      unroll complete "the meaning of life is"
      unroll complete you --temperature 0.7 --top-k 40 --samples 3
      unroll complete you --temperature 0.9 --min-p 0.1 --repetition-penalty 1.2
      unroll complete you --temperature 0 --beam-width 5 --samples 3
    """
    from unroll.stages.interactive import complete

    chosen["skip"] = list(chosen["skip"]) or None
    complete(study, prompt, task, variant, given(chosen))
