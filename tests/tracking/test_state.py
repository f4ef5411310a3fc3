"""The state that outputs imply."""

from models.toys import pairs_options
from unroll.circumstances import EpochTiming, Source
from unroll.subject import Subject
from unroll.tracking.state import KEY, Point, epoch_points, experiment_name, opening

SOURCE = Source(command="unroll train peeky", stage="train@peeky", experiment=None, folder="",
                commit="a" * 40, dirty=True)  # fmt: skip
SUBJECT = Subject(
    "root", "peeky", pairs_options(seeds=[3, 5], decoder="peeky", task="addition"),
    "d" * 64, "c" * 64, {"device": "cpu", "threads": 1},
)  # fmt: skip


def test_a_parent_and_a_child_per_seed_open_with_their_keys():
    found = opening(SUBJECT, SOURCE)
    assert found.experiment == "addition"
    assert found.parent.name == "peeky"
    assert found.parent.key == found.parent.tags[KEY] == SUBJECT.key()
    assert {s: c.key for s, c in found.children.items()} == {3: SUBJECT.key(3), 5: SUBJECT.key(5)}
    assert found.children[5].name == "peeky seed 5"


def test_params_are_the_options_and_the_seed():
    found = opening(SUBJECT, SOURCE)
    options = {k: str(v) for k, v in SUBJECT.options.model_dump().items() if k != "seeds"}
    assert found.children[3].params == {**options, "seed": "3"}
    assert found.parent.params == {**options, "seeds": "[3, 5]"}


def test_tags_name_command_code_and_environment():
    tags = opening(SUBJECT, SOURCE).children[3].tags
    assert tags["mlflow.source.name"] == "unroll train peeky"
    assert tags["mlflow.source.git.commit"] == "a" * 40
    assert tags["git.dirty"] == "true"
    assert tags["dvc.stage"] == "train@peeky"
    assert "dvc.experiment" not in tags
    assert tags["environment.device"] == "cpu"
    without = opening(SUBJECT, SOURCE.model_copy(update={"commit": None})).parent.tags
    assert not {"git.dirty", "mlflow.source.git.commit"} & set(without)


def test_an_epoch_gives_a_point_per_metric_at_the_time_of_its_end():
    timing = EpochTiming(3, 2, 12.3456, 1.5, 0.5, 97.0, 2048.0)
    points = epoch_points({"epoch": 2, "train_loss": 0.25}, timing)
    assert points == [
        Point("train_loss", 2, 0.25, 12_346),
        Point("train_seconds", 2, 1.5, 12_346),
        Point("valid_seconds", 2, 0.5, 12_346),
        Point("system/cpu_utilization_percentage", 2, 97.0, 12_346),
        Point("system/system_memory_usage_megabytes", 2, 2048.0, 12_346),
    ]


def test_the_digest_of_a_state_is_that_of_its_content():
    one, same = (opening(SUBJECT, SOURCE).parent for _ in range(2))
    assert one.digest() == same.digest()
    same.files["samples.txt"] = b"1"
    with_file = same.digest()
    same.files["samples.txt"] = b"2"
    assert len({one.digest(), with_file, same.digest()}) == 3
    same.files.clear()
    same.points.append(Point("loss", 1, 0.5, 0))
    assert same.digest() != one.digest()


def test_the_root_study_gives_its_experiments_the_names_of_tasks():
    assert experiment_name("root", "ptb") == "ptb"
    assert experiment_name("quick", "grammar") == "quick-grammar"
