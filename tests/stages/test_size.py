import json
import shutil

import pytest

from models.toys import FORM, corpus, pairs, task_section
from unroll.data.corpus import save_corpus
from unroll.data.pairs import save_pairs
from unroll.errors import DataError
from unroll.kinds import kind_of
from unroll.models.budget import parameters
from unroll.stages.size import size, sized
from unroll.storage.folders import new_folder
from unroll.study import load

PARAMS = f"""\
tasks:
{task_section("sums", 8)}\
{task_section("others", 5)}\
  prose:
    data: {{kind: text, source: grammar}}
    defaults:
      seeds: [0]
      embedding_size: 6
      hidden_size: 6
      epochs: 1
      batch_size: 4
      time_steps: 5
      optimizer: sgd
      learning_rate: 1.0
variants:
  plain:
    task: sums
  peeky:
    task: sums
    decoder: peeky
  slim:
    task: sums
    decoder: peeky
    match_parameters: plain
  two-ways:
    task: sums
    bidirectional: true
    match_parameters: plain
  elsewhere:
    task: others
  writer:
    task: prose
  tied:
    task: prose
    tie_weights: true
    match_parameters: writer
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "params.yaml").write_text(PARAMS)
    study = load()
    save_pairs(pairs(), study.prepared("sums"))
    return study


def count_of(options, form=FORM):
    return parameters(lambda options: kind_of(options).build(options, form), options)


def written(study, variant):
    return json.loads(study.size(variant).read_text())


def test_a_tied_embedding_follows_the_size_that_is_found(study):
    data = corpus(range(7), words=40)
    save_corpus(data, study.prepared("prose"))
    size(study, "prose")
    budget, found = (written(study, variant) for variant in ("writer", "tied"))
    counts = {H: count_of(study.variant("tied").resized(H), data.form) for H in range(1, 30)}
    nearest = min(counts, key=lambda H: abs(counts[H] - budget["parameters"]))
    assert found == {"hidden_size": nearest, "parameters": counts[nearest]}
    options = sized(study, "tied")
    assert options.embedding_size == options.hidden_size == nearest > 6


def test_a_given_size_is_kept_and_its_parameters_are_counted(study):
    size(study, "sums")
    for variant in ("plain", "peeky"):
        options = study.variant(variant)
        count = count_of(options)
        assert written(study, variant) == {"hidden_size": 8, "parameters": count}
        assert sized(study, variant) == options


def test_a_matched_variant_has_the_size_nearest_to_the_count_of_the_other(study):
    size(study, "sums")
    budget = written(study, "plain")["parameters"]
    for variant, step in (("slim", 1), ("two-ways", 2)):
        found, options = written(study, variant), study.variant(variant)
        counts = {H: count_of(options.resized(H)) for H in range(step, 20, step)}
        nearest = min(counts, key=lambda H: abs(counts[H] - budget))
        assert found == {"hidden_size": nearest, "parameters": counts[nearest]}
        assert sized(study, variant) == options.model_copy(update={"hidden_size": nearest})
    assert sized(study, "slim").hidden_size < 8 <= sized(study, "two-ways").hidden_size


def test_only_the_variants_of_the_task_get_a_size(study):
    size(study, "sums")
    folder = study.data / "sizes"
    assert [path.name for path in folder.iterdir()] == ["sums"]
    assert sorted(path.name for path in (folder / "sums").iterdir()) == [
        "manifest.json",
        "peeky.json",
        "plain.json",
        "slim.json",
        "two-ways.json",
    ]


def test_sizes_are_shown_as_they_are_found(study, capsys):
    size(study, "sums")
    count = written(study, "plain")["parameters"]
    first, *others = capsys.readouterr().out.splitlines()
    assert first == f"plain: hidden_size 8, {count:,} parameters"
    assert [line.split(":")[0] for line in others] == ["peeky", "slim", "two-ways"]


def test_sizes_without_prepared_data_say_how_to_make_them(study):
    shutil.rmtree(study.prepared("sums"))
    with pytest.raises(DataError, match=r"prepared/sums is missing.*run: dvc repro prepare@sums"):
        size(study, "sums")
    assert not study.size("plain").exists()


REMEDY = "run: dvc repro size@sums"


def refused(study, variant):
    """Return the message with which the size of a variant is refused."""
    with pytest.raises(DataError) as caught:
        sized(study, variant)
    return str(caught.value)


def alter(study, variant, text):
    """Write the sizes of the task again, with a right manifest: one is another, or none."""
    path = study.size(variant)
    with new_folder(path.parent) as new:
        ignored = shutil.ignore_patterns("manifest.json", path.name)
        shutil.copytree(path.parent, new, dirs_exist_ok=True, ignore=ignored)
        if text is not None:
            (new / path.name).write_text(text)


def test_sizes_that_were_never_found_say_how_to_find_them(study):
    assert refused(study, "slim") == f"data/sizes/sums is missing or incomplete; {REMEDY}"


def test_a_size_that_is_not_as_the_manifest_says_is_refused_by_name_with_the_way_out(study):
    size(study, "sums")
    text = study.size("slim").read_text()
    # Right in every respect, but another.
    study.size("slim").write_text(text.replace('"hidden_size": ', '"hidden_size": 1'))
    assert refused(study, "slim") == (
        "data/sizes/sums/slim.json is damaged (its SHA-256 is not that of manifest.json); " + REMEDY
    )
    study.size("slim").unlink()
    assert refused(study, "slim") == f"data/sizes/sums/slim.json is missing; {REMEDY}"


def test_a_variant_that_is_newer_than_the_sizes_says_how_to_find_its_size(study):
    size(study, "sums")
    alter(study, "slim", None)
    message = refused(study, "slim")
    assert message.startswith("data/sizes/sums/slim.json cannot be read (")
    assert message.endswith(f"; {REMEDY}")
    assert sized(study, "plain").hidden_size == 8


def test_the_size_is_the_one_in_the_file(study):
    size(study, "sums")
    alter(study, "slim", '{"hidden_size": 3, "parameters": 4}')
    assert sized(study, "slim") == study.variant("slim").model_copy(update={"hidden_size": 3})


def test_a_size_of_an_earlier_params_file_is_refused_with_the_way_out(study):
    size(study, "sums")
    alter(study, "plain", '{"hidden_size": 3, "parameters": 4}')
    assert refused(study, "plain") == (
        f"data/sizes/sums/plain.json is of another hidden_size (3) than params.yaml (8); {REMEDY}"
    )
    assert sized(study, "peeky").hidden_size == 8


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{}", " is damaged"),
        ("{", ", line 1: not valid JSON"),
        ("[3]", ": expected a JSON object"),
        ('{"hidden_size": 3}', " is damaged"),
        ('{"hidden_size": "3", "parameters": 4}', " is damaged"),
        ('{"hidden_size": 0, "parameters": 4}', " is damaged"),
        ('{"hidden_size": 3, "parameters": 4, "more": 5}', " is damaged"),
    ],
)
def test_a_size_of_another_form_is_refused_by_name_with_the_way_out(study, text, fault):
    size(study, "sums")
    alter(study, "slim", text)
    assert refused(study, "slim") == f"data/sizes/sums/slim.json{fault}; {REMEDY}"
    assert sized(study, "plain").hidden_size == 8
