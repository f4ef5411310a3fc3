"""The command line: what it says, and what it leaves alone where it refuses."""

import json
import re
import shutil
import signal
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from PIL import Image

from models.toys import write_untrained
from unroll import study
from unroll.cli import main
from unroll.data.captioned import CaptionedForm
from unroll.data.corpus import CorpusForm
from unroll.data.labels import LabelsForm
from unroll.data.pairs import PairsForm
from unroll.data.vocabulary import Vocabulary
from unroll.lifetime import SIGNALS
from unroll.tasks.brackets import LABELS

PARAMS = """\
compute:
  device: cpu
  precision: float32
  workers: 1
tasks:
  addition:
    data:
      kind: addition
      source: generated
      max_digits: 1
      train: 20
      valid: 5
      test: 5
    defaults:
      seeds: [0]
      embedding_size: 4
      hidden_size: 6
      epochs: 1
      batch_size: 10
      optimizer: adam
      learning_rate: 0.01
  prose:
    data:
      kind: text
      source: texts
    defaults:
      seeds: [0]
      embedding_size: 8
      hidden_size: 8
      epochs: 1
      batch_size: 2
      time_steps: 5
      optimizer: sgd
      learning_rate: 1.0
variants:
  plain:
    task: addition
  peeky:
    task: addition
    decoder: peeky
  writer:
    task: prose
generate:
  prompts: [you]
"""


@pytest.fixture(autouse=True)
def project(tmp_path, monkeypatch):
    """A folder with the study `root` and the study `toy`, which is the same."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("UNROLL_STUDY", raising=False)
    write_params(PARAMS)
    toy = tmp_path / "pipeline" / "toy"
    toy.mkdir(parents=True)
    (toy / "params.yaml").write_text(PARAMS, encoding="utf-8")
    return tmp_path


@pytest.fixture
def writer():
    """A model of the variant writer, which knows three words."""
    words = ["<eos>", "you", "the", "a"]
    vocabulary = Vocabulary(words, special={"end": "<eos>"}, unit="word")
    return write_untrained(study.load(), "writer", CorpusForm(vocabulary=vocabulary))


@pytest.fixture(autouse=True)
def own_signals():
    """Leave the signals of this process to pytest: `listen` takes them for good."""
    numbers = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    handlers, told = {number: signal.getsignal(number) for number in numbers}, sys.unraisablehook
    yield
    sys.unraisablehook = told
    for number, handler in handlers.items():
        signal.signal(number, handler)


def write_params(text):
    Path("params.yaml").write_text(text, encoding="utf-8")


def contents(folder):
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def run(*arguments):
    return CliRunner().invoke(main, arguments, prog_name="unroll")


def works(*arguments):
    result = run(*arguments)
    assert (result.exit_code, result.stderr) == (0, "")
    return result.stdout


def fails(exit_code, *arguments):
    """Run a command that ends with one message, no traceback, and touches no file."""
    before = contents(Path())
    result = run(*arguments)
    assert isinstance(result.exception, SystemExit), repr(result.exception)
    assert result.exit_code == exit_code
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("error: ") == 1
    assert "Traceback" not in result.output
    assert contents(Path()) == before
    return result.stderr.removeprefix("error: ").removesuffix("\n")


def in_process(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60
    )


COMMANDS = [
    "ask",
    "caption",
    "chat",
    "compare",
    "complete",
    "evaluate",
    "generate",
    "import-book",
    "inside",
    "new-study",
    "plan",
    "prepare",
    "report",
    "size",
    "sweep",
    "track",
    "train",
]


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_lists_the_commands_without_a_project(tmp_path, monkeypatch, option):
    (tmp_path / "empty").mkdir()
    monkeypatch.chdir(tmp_path / "empty")
    lines = works(option).split("Commands:\n")[1].splitlines()
    assert [line.split()[0] for line in lines] == COMMANDS
    assert all(len(line.split()) > 3 for line in lines), "every command says what it does"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_shows_an_example_without_a_project(command):
    Path("params.yaml").unlink()
    text = works(command, "--help")
    assert text.startswith(f"Usage: unroll {command} ")
    assert re.search(rf"  unroll (--study \w+ )?{command}", text.split("Example")[1])


@pytest.mark.parametrize("arguments", [["--help"], ["train", "--help"]])
def test_help_imports_no_heavy_module(arguments):
    program = (
        "import sys\n"
        "from unroll.cli import main\n"
        "main(sys.argv[1:], standalone_mode=False)\n"
        "heavy = ('torch', 'mlflow', 'pandas', 'matplotlib', 'dvc', 'optuna')\n"
        "print('heavy:', [name for name in heavy if name in sys.modules])\n"
    )
    done = in_process(program, *arguments)
    assert done.stdout.startswith("Usage: ")
    assert done.stdout.endswith("heavy: []\n")


def test_error_in_a_process_of_its_own_is_one_line_and_the_exit_code():
    done = in_process("from unroll.cli import main; main()", "train", "peaky")
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "error: params.yaml has no variant 'peaky' (did you mean peeky?); "
        "it has plain, peeky, writer\n"
    )


def test_version_is_that_of_the_package():
    assert works("--version") == f"unroll, version {version('unroll')}\n"


def test_unknown_command_is_a_usage_error():
    result = run("trian")
    assert result.exit_code == 2
    assert "No such command 'trian'" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["complete", "you", "--samples", "0"],
        ["complete", "you", "--temperature", "-1"],
        ["complete", "you", "--top-p", "0"],
        ["complete", "you", "--top-k", "many"],
        ["complete", "you", "--min-p", "2"],
        ["complete", "you", "--repetition-penalty", "0.5"],
        ["complete", "you", "--beam-width", "0"],
    ],
)
def test_option_out_of_range_is_named(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert f"Invalid value for '{arguments[2]}'" in result.stderr
    assert contents(Path()).keys() == {Path("params.yaml"), Path("pipeline/toy/params.yaml")}


@pytest.mark.parametrize("command", [["prepare", "addition"], ["train", "plain"], ["report"]])
@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        (
            "    decoder: peeky",
            "    decodr: peeky",
            "variants.peeky.decodr: unknown key (did you mean decoder?)",
        ),
        (
            "      max_digits: 1",
            "      max_digits: one",
            "tasks.addition.data.max_digits: input should be a valid integer, not 'one'",
        ),
    ],
    ids=["misspelt key", "wrong type"],
)
def test_fault_in_the_params_file_is_named_with_its_place(command, old, new, fault):
    assert PARAMS.count(old) == 1
    write_params(PARAMS.replace(old, new))
    assert fails(2, *command) == f"params.yaml cannot be used:\n  {fault}"


def test_missing_params_file_is_named_with_the_way_out():
    Path("params.yaml").unlink()
    assert fails(2, "train", "plain").startswith(
        "params.yaml does not exist. Run unroll in the project's root folder"
    )


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_unknown_variant_is_answered_with_the_nearest(command):
    assert fails(2, command, "peaky") == (
        "params.yaml has no variant 'peaky' (did you mean peeky?); it has plain, peeky, writer"
    )


def test_unknown_task_is_answered_with_the_nearest():
    assert fails(2, "prepare", "addtion") == (
        "params.yaml has no task 'addtion' (did you mean addition?); it has addition, prose"
    )
    assert fails(2, "ask", "1+1", "--task", "addtion").startswith(
        "params.yaml has no task 'addtion'"
    )


def test_unknown_study_is_named_with_the_file_that_it_lacks():
    message = fails(2, "--study", "tiny", "train", "plain")
    assert message.startswith("pipeline/tiny/params.yaml does not exist.")


def test_unknown_thing_in_a_study_is_looked_for_in_the_params_file_of_the_study():
    message = fails(2, "--study", "toy", "train", "plian")
    assert message.startswith("pipeline/toy/params.yaml has no variant 'plian'")


def test_prepare_writes_the_data_and_tells_what_they_are():
    text = works("prepare", "addition")
    assert text == "data/prepared/addition: train 20, valid 5, test 5 pairs\n"
    assert Path("data/prepared/addition/manifest.json").is_file()


def test_study_is_chosen_by_option_or_environment(monkeypatch):
    assert works("--study", "toy", "prepare", "addition").startswith("data/toy/prepared/addition: ")
    first = contents(Path("data/toy"))
    monkeypatch.setenv("UNROLL_STUDY", "toy")
    works("prepare", "addition")
    assert contents(Path("data")) == first


def test_failed_prepare_leaves_the_earlier_data(project):
    texts = project / "texts"
    texts.mkdir()
    for split in ("train", "valid", "test"):
        (texts / f"{split}.txt").write_text("a b\n")
    assert works("prepare", "prose").startswith("data/prepared/prose: train 3, valid 3, test 3 tok")
    (texts / "train.txt").write_text("\n\n")
    assert fails(1, "prepare", "prose").startswith("texts/train.txt holds no text")


@pytest.mark.skipif(sys.platform != "linux", reason="limits the size of files as Linux does")
def test_what_the_disk_refuses_is_one_message_and_leaves_the_earlier_data():
    works("prepare", "addition")
    before = contents(Path("data"))
    write_params(PARAMS.replace("      train: 20", "      train: 40"))
    program = (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))\n"
        "from unroll.cli import main; main()"
    )
    done = in_process(program, "prepare", "addition")
    assert done.returncode == 1
    assert done.stderr.startswith("error: File too large: data/prepared/.addition.")
    assert "; raise the limit of a file's size (ulimit -f), and run the same command" in done.stderr
    assert "Traceback" not in done.stderr
    assert contents(Path("data")) == before


def test_memory_that_is_refused_is_one_message(monkeypatch):
    def refused(*arguments):
        raise MemoryError

    monkeypatch.setattr("unroll.stages.prepare.prepare", refused)
    assert fails(1, "prepare", "addition").startswith("not enough memory; lower batch_size")


def test_more_questions_than_there_are_is_an_error_in_the_params():
    write_params(PARAMS.replace("      train: 20", "      train: 200"))
    assert fails(2, "prepare", "addition").startswith("210 different questions are asked for")


def test_train_without_sizes_tells_what_to_run():
    works("prepare", "addition")
    assert fails(1, "train", "plain") == (
        "data/sizes/addition is missing or incomplete; run: dvc repro size@addition"
    )
    assert fails(1, "--study", "toy", "train", "plain") == (
        "data/toy/sizes/addition is missing or incomplete; "
        "run: dvc repro pipeline/toy/dvc.yaml:size@addition"
    )


def test_train_without_prepared_data_tells_what_to_run():
    works("prepare", "addition")
    works("size", "addition")
    shutil.rmtree("data/prepared")
    assert fails(1, "train", "plain") == (
        "data/prepared/addition does not exist; run: dvc repro prepare@addition"
    )


def test_train_without_a_plan_or_with_that_of_other_sources_tells_what_to_run():
    works("prepare", "addition")
    works("size", "addition")
    message = fails(1, "train", "plain")
    assert message.startswith("data/plans/train/plain.json cannot be read ")
    assert message.endswith("; run: dvc repro plan")
    works("plan")
    Path("data/sources.json").write_text(json.dumps({"sha256": "ab" * 32}))
    assert fails(1, "train", "plain").endswith("; run: dvc repro plan")


def test_plan_writes_what_each_stage_does_and_tells_what_has_changed():
    told = works("plan").splitlines()
    names = [f"{stage}/{v}" for v in ("plain", "peeky", "writer") for stage in STAGES]
    assert sorted(told) == sorted(f"changed: {name}.json" for name in ("report", *names))
    before = contents(Path("data"))
    assert before.keys() == {
        *(Path(f"data/plans/{name}.json") for name in ("report", *names)),
        Path("data/sources.json"),
    }
    assert works("plan") == ""
    assert contents(Path("data")) == before
    write_params(PARAMS.replace("    decoder: peeky", "    decoder: attention"))
    assert works("plan") == "changed: train/peeky.json\nchanged: evaluate/peeky.json\n"


STAGES = ("train", "evaluate", "generate")


def test_plan_takes_away_what_a_variant_has_left_that_is_no_longer_there():
    """DVC leaves it, and shows its metrics."""
    for name in ("peeky", "writer"):
        for path in (f"data/evaluation/{name}/manifest.json", f"reports/metrics/{name}.json"):
            Path(path).parent.mkdir(parents=True, exist_ok=True)
            Path(path).write_text("{}")
    write_params(PARAMS.replace("  peeky:\n    task: addition\n    decoder: peeky\n", ""))
    told = [line for line in works("plan").splitlines() if line.startswith("removed")]
    why = "(its variant is no longer in params.yaml)"
    assert told == [
        f"removed: data/evaluation/peeky {why}",
        f"removed: reports/metrics/peeky.json {why}",
    ]
    assert [path.name for path in Path("data/evaluation").iterdir()] == ["writer"]
    assert [path.name for path in Path("reports/metrics").iterdir()] == ["writer.json"]


def test_size_writes_and_tells_the_size_of_each_variant_of_a_task():
    works("prepare", "addition")
    told = works("size", "addition").splitlines()
    assert [line.split(",")[0] for line in told] == ["plain: hidden_size 6", "peeky: hidden_size 6"]
    found = json.loads(Path("data/sizes/addition/plain.json").read_text())
    assert f"{found['parameters']:,} parameters" in told[0]


def test_evaluate_without_prepared_data_tells_what_to_run():
    message = fails(1, "evaluate", "plain")
    assert message.startswith("data/prepared/addition ")
    assert message.endswith("run: dvc repro prepare@addition")


def test_evaluate_without_a_model_tells_what_to_run():
    works("prepare", "addition")
    assert fails(1, "evaluate", "plain") == (
        "data/models/plain holds no trained model; run: dvc repro train@plain"
    )


def test_evaluate_with_corrupted_data_names_the_file():
    works("prepare", "addition")
    flip_a_byte(Path("data/prepared/addition/test.target.npy"))
    message = fails(1, "evaluate", "plain")
    assert message.startswith("data/prepared/addition/test.target.npy is damaged")
    assert message.endswith("run: dvc repro prepare@addition")


def test_train_with_corrupted_data_names_the_file_and_leaves_the_earlier_model():
    works("prepare", "addition")
    works("size", "addition")
    works("plan")
    flip_a_byte(Path("data/prepared/addition/train.source.npy"))
    earlier = Path("data/models/plain/seed-0/weights.safetensors")
    earlier.parent.mkdir(parents=True)
    earlier.write_bytes(b"the work of days")
    before = contents(Path())
    result = run("train", "plain")
    assert result.exit_code == 1
    assert (
        "error: plain, seed 0: data/prepared/addition/train.source.npy is damaged" in result.stderr
    )
    assert result.stderr.endswith("run: dvc repro prepare@addition\n")
    assert "Traceback" not in result.output
    after = contents(Path()).items()  # MLflow, and it alone, may note that training failed
    assert {p: c for p, c in after if "mlflow.db" not in p.name} == before


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("study", "stage", "everything"),
    [
        ([], "train", "dvc repro"),
        (["--study", "toy"], "pipeline/toy/dvc.yaml:train", "dvc repro pipeline/toy/dvc.yaml"),
    ],
    ids=["root", "toy"],
)
@pytest.mark.parametrize(
    ("command", "names", "variant"),
    [
        (["ask", "1+1"], "plain or peeky", "plain"),
        (["ask", "1+1", "--variant", "peeky"], "peeky", "peeky"),
        (["complete", "you"], "writer", "writer"),
    ],
    ids=["ask", "ask a variant", "complete"],
)
def test_asking_without_a_model_tells_what_to_run(
    study, stage, everything, command, names, variant
):
    assert fails(1, *study, *command) == (
        f"no trained model of {names} yet; run: dvc repro {stage}@{variant} "
        f"(this model alone), or {everything} (the whole study)"
    )


def test_question_is_of_the_first_such_task_where_none_is_named():
    write_params(PARAMS.replace("addition:", "sums:").replace("task: addition", "task: sums"))
    assert fails(1, "ask", "1+1").startswith("no trained model of plain or peeky yet; ")


@pytest.mark.parametrize(
    ("kept", "command"),
    [("plain", ["complete", "you"]), ("writer", ["ask", "1+1"])],
    ids=["complete", "ask"],
)
def test_study_without_a_variant_that_can_answer_is_refused(kept, command):
    task = {"plain": "addition", "writer": "prose"}[kept]
    write_params(PARAMS.split("variants:")[0] + f"variants:\n  {kept}:\n    task: {task}\n")
    assert fails(2, *command) == "params.yaml has no variant that can do this"


def test_task_that_has_no_questions_cannot_be_asked():
    message = fails(2, "ask", "1+1", "--task", "prose")
    assert message == "params.yaml has no variant of prose that can do this"
    message = fails(2, "complete", "you", "--task", "addition")
    assert message == "params.yaml has no variant of addition that can do this"


def words(text):
    return set(text.replace(".", "").split())


def test_skipped_words_are_not_written(writer):
    command = ["complete", "you", "--length", "50"]
    assert words(works(*command)) == {"you", "the", "a"}
    assert words(works(*command, "--skip", "the")) == {"you", "a"}
    assert words(works(*command, "--skip", "the", "--skip", "a")) == {"you"}


def test_a_continuation_is_searched_or_drawn_as_its_options_say(writer):
    command = ["complete", "you", "--length", "12"]
    greedy = works(*command, "--temperature", "0")
    assert works(*command, "--min-p", "1") == greedy
    assert works(*command, "--min-p", "0", "--repetition-penalty", "1") == works(*command)
    assert works(*command, "--temperature", "0", "--repetition-penalty", "10") != greedy
    search = ["--temperature", "0", "--beam-width", "3"]
    found = works(*command, *search, "--length-penalty", "1", "--samples", "3").split("\n\n")
    assert len(found) == len(set(found)) == 3
    assert all(text.startswith("you") for text in found)
    assert "w" not in works(*command, *search, "--skip", "the")
    message = "generate.beam_width: a beam searches, a temperature draws; choose one"
    assert fails(2, *command, "--beam-width", "3") == message
    message = "generate.samples: a beam of 3 finds no more than that"
    assert fails(2, *command, *search, "--samples", "4") == message


@pytest.mark.parametrize(
    ("option", "value", "fault"),
    [
        ("temperature", "nan", "input should be a finite number, not nan"),
        ("temperature", "inf", "input should be a finite number, not inf"),
        ("top_p", "nan", "input should be less than or equal to 1, not nan"),
    ],
)
def test_value_that_is_no_number_is_refused(writer, option, value, fault):
    message = fails(2, "complete", "you", f"--{option.replace('_', '-')}", value)
    assert message == f"generate.{option}: {fault}"


@pytest.mark.parametrize(
    ("command", "message"),
    [
        (
            ["ask", "1+1", "--variant", "writer"],
            "writer cannot do this; choose one of plain, peeky",
        ),
        (["complete", "you", "--variant", "plain"], "plain cannot do this; choose one of writer"),
        (["ask", "1+1", "--variant", "plian"], "params.yaml has no variant 'plian' (did you mean"),
    ],
)
def test_variant_that_cannot_answer_is_refused_with_those_that_can(command, message):
    assert fails(2, *command).startswith(message)


DIGITS = Vocabulary([*"0123456789+ _"], special={"pad": " ", "start": "_", "end": " "})


@pytest.fixture
def adder():
    """A model of the variant plain, which has learned nothing."""
    return write_untrained(
        study.load(), "plain", PairsForm(source=DIGITS, source_width=3, target_width=3)
    )


def test_a_question_is_taken_in_the_forms_in_which_people_ask_it(adder):
    answer = works("ask", "7+5")
    assert len(answer.strip("\n")) <= 2
    for form in ("7 + 5", " 7+5 ", "\t7+ 5", "７＋５"):
        assert works("ask", form) == answer


@pytest.mark.parametrize("question", ["hello", "7+", "7-5", "7+5=", "77+5", "", "7+5+1", "７"])
def test_what_is_no_question_is_refused_with_the_form_of_one(adder, question):
    assert fails(2, "ask", question) == (
        f"{question!r} is no question of this model; it adds two numbers of 1 digit: 7+5"
    )


def test_a_sequence_is_answered_with_its_label():
    write_params(
        PARAMS.replace("  prose:\n", f"{BRACKETS}  prose:\n").replace(
            "  writer:\n", "  judge:\n    task: brackets\n  writer:\n"
        )
    )
    vocabulary = Vocabulary(["<pad>", "(", ")"], special={"pad": "<pad>"})
    write_untrained(
        study.load(), "judge", LabelsForm(source=vocabulary, source_width=4, labels=LABELS)
    )
    for command in (["ask", "(())", "--variant", "judge"], ["ask", "( )", "--task", "brackets"]):
        assert works(*command).strip() in LABELS
    assert fails(2, "ask", "[]", "--variant", "judge").endswith("1 to 4 round brackets: ()")


BRACKETS = """\
  brackets:
    data:
      kind: brackets
      longest: 4
    defaults:
      seeds: [0]
      embedding_size: 4
      hidden_size: 6
      epochs: 1
      batch_size: 10
      optimizer: adam
      learning_rate: 0.01
"""


def test_an_unknown_word_of_a_prompt_is_answered_with_those_near_it(writer):
    assert fails(2, "complete", "yu") == "the model does not know the word 'yu'; near it are you"
    assert fails(2, "complete", "you xyz") == "the model does not know the word 'xyz'"


def test_the_task_to_write_of_can_be_named(writer):
    text = works("complete", "you", "--task", "prose", "--length", "3", "--seed", "4")
    assert text == works("complete", "you", "--length", "3", "--seed", "4")
    assert text.startswith("you")


def test_report_without_scores_tells_what_to_run():
    assert fails(1, "report") == (
        "data/evaluation/plain is missing or incomplete; run: dvc repro evaluate@plain"
    )


def test_check_without_a_report_tells_what_to_run():
    message = fails(1, "report", "--check")
    assert message.startswith("reports/comparison.csv cannot be read ")
    assert message.endswith("; run: dvc repro report")


@pytest.mark.parametrize("section", ["generate:\n  prompts: [you]\n", ""])
def test_where_nothing_is_to_be_written_generate_leaves_an_empty_folder(section):
    """DVC misses an output else, and the study cannot run."""
    write_params(PARAMS.replace("generate:\n  prompts: [you]\n", section))
    variant = "plain" if section else "writer"  # one that answers, and one that is not asked
    assert works("generate", variant) == f"{variant}: nothing to write\n"
    assert contents(Path("data")) == {Path(f"data/generated/{variant}/manifest.json"): b"{}\n"}


def test_generate_without_a_model_tells_what_to_run():
    assert fails(1, "generate", "writer") == (
        "data/models/writer holds no trained model; run: dvc repro train@writer"
    )


CAPTIONS = """\
  scenes:
    data:
      kind: captions
      size: 16
    defaults:
      seeds: [0]
      padding: masked
      embedding_size: 4
      hidden_size: 6
      init: default
      epochs: 1
      batch_size: 10
      optimizer: adam
      learning_rate: 0.01
"""
SEERS = """\
  seer:
    task: scenes
  looker:
    task: scenes
    decoder: attention
"""


@pytest.fixture
def seers():
    """Models of two variants that say what is on pictures, one of which has attention."""
    write_params(
        PARAMS.replace("  prose:\n", f"{CAPTIONS}  prose:\n").replace(
            "  writer:\n", f"{SEERS}  writer:\n"
        )
    )
    words = ["<pad>", "<sos>", "<eos>", "a", "red", "circle"]
    special = {"pad": "<pad>", "start": "<sos>", "end": "<eos>"}
    answers = Vocabulary(words, special=special, unit="word")
    form = CaptionedForm(size=16, answers=answers, target_width=5)
    for variant in ("seer", "looker"):
        write_untrained(study.load(), variant, form)
    Image.new("RGB", (40, 30), "red").save("photo.jpg")


def test_a_picture_is_answered_with_a_caption(seers):
    for variant in ([], ["--variant", "seer"], ["--variant", "looker"], ["--task", "scenes"]):
        said = works("caption", "photo.jpg", *variant)
        assert said.endswith("\n") and said.count("\n") == 1
        assert set(said.split()) <= {"<pad>", "<sos>", "<eos>", "a", "red", "circle"}


def test_the_best_captions_are_printed_behind_their_probabilities(seers):
    lines = works("caption", "photo.jpg", "--alternatives", "3").splitlines()
    assert len(lines) == 3
    shares = [float(line.split("%  ")[0]) for line in lines]
    assert shares == sorted(shares, reverse=True) and 0 < shares[0] <= 100
    assert len({line.split("%  ")[1] for line in lines}) == 3
    wide = works("caption", "photo.jpg", "--beam-width", "3")
    assert wide == lines[0].split("%  ")[1] + "\n"


def test_where_each_word_looks_is_drawn(seers):
    said = works("caption", "photo.jpg", "--variant", "looker", "--map", "looks.svg")
    svg = ElementTree.parse("looks.svg")
    texts = [element.text for element in svg.iter("{http://www.w3.org/2000/svg}text")]
    # Every symbol that is written looks somewhere, also one that is no word of the caption.
    assert [text for text in texts if text in said.split()] == said.split()
    assert len(texts) >= len(said.split()) and set(texts) <= {
        "<pad>",
        "<sos>",
        "a",
        "red",
        "circle",
    }
    message = fails(2, "caption", "photo.jpg", "--variant", "seer", "--map", "other.svg")
    assert message == "seer has no attention: there is no map"


def test_a_map_that_is_no_svg_is_refused_before_anything_is_said(seers):
    assert fails(2, "caption", "photo.jpg", "--map", "looks.png") == (
        "--map: looks.png cannot be written; pictures are SVG: name it FILE.svg"
    )
    assert run("caption", "photo.jpg", "--map", "looks.png").stdout == ""


def test_a_picture_that_is_missing_is_named(seers):
    assert fails(1, "caption", "none.png") == (
        "none.png cannot be read (No such file or directory)"
    )
    Path("folder.png").mkdir()
    assert fails(1, "caption", "folder.png") == "folder.png cannot be read (Is a directory)"


@pytest.mark.parametrize("content", [b"", b"a red circle", b"\x89PNG\r\n\x1a\n"], ids=repr)
def test_a_file_that_is_no_picture_is_named(seers, content):
    Path("notes.png").write_bytes(content)
    message = fails(1, "caption", "notes.png", "--variant", "looker", "--map", "looks.svg")
    assert message.startswith("notes.png is no picture that can be read")
    assert "\n" not in message


def test_what_cannot_be_looked_into_is_refused_with_the_way_out():
    assert fails(2, "inside", "plain") == "plain is no language model; choose one of writer"
    assert fails(2, "inside", "writer", "--output", "look.pdf") == (
        "--output: look.pdf cannot be written; it is a page: name it FILE.html"
    )
    assert fails(2, "inside", "wirter").startswith("params.yaml has no variant 'wirter'")
    assert fails(1, "inside", "writer").startswith("no trained model of writer yet; run: dvc repro")


def test_a_model_of_other_data_is_not_looked_into(project, writer):
    texts = project / "texts"
    texts.mkdir()
    for split in ("train", "valid", "test"):
        (texts / f"{split}.txt").write_text("you the a\n")
    works("prepare", "prose")
    assert fails(1, "inside", "writer") == (
        "writer was trained on other data than data/prepared/prose; run: dvc repro train@writer"
    )


def test_a_picture_is_no_question_and_a_question_no_picture(seers):
    message = fails(2, "ask", "1+1", "--variant", "seer")
    assert message == "seer cannot do this; choose one of plain, peeky"
    message = fails(2, "caption", "photo.jpg", "--variant", "plain")
    assert message == "plain cannot do this; choose one of seer, looker"
    message = fails(2, "caption", "photo.jpg", "--task", "prose")
    assert message == "params.yaml has no variant of prose that can do this"


def test_in_a_study_without_captions_no_picture_is_looked_at():
    assert fails(2, "caption", "none.png") == "params.yaml has no variant that can do this"


def test_captions_without_a_model_tell_what_to_run(seers):
    shutil.rmtree("data/models")
    assert fails(1, "caption", "photo.jpg").startswith(
        "no trained model of seer or looker yet; run: dvc repro train@seer "
    )


@pytest.mark.parametrize("option", ["--beam-width", "--length-penalty", "--alternatives"])
def test_an_option_of_captions_out_of_range_is_named(option):
    result = run("caption", "photo.jpg", option, "-1")
    assert result.exit_code == 2
    assert f"Invalid value for '{option}'" in result.stderr
