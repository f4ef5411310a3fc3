"""Params files as they are read, and the names and places of a study."""

from pathlib import Path

import pytest

from unroll import study as params
from unroll import tasks
from unroll.errors import DataError, UserError
from unroll.kinds import named
from unroll.names import unfit
from unroll.options import OPTIONS, CorpusOptions, LabelsOptions, PairsOptions, Strict
from unroll.tasks.task import Task

PROJECT = Path(__file__).parents[1]

PARAMS = """\
compute:
  device: cpu
  threads: 1
tasks:
  sums:
    data:
      kind: addition
      max_digits: 1
      train: 20
      valid: 5
      test: 5
    defaults:
      seeds: [0, 1]
      embedding_size: 4
      hidden_size: 6
      epochs: 2
      batch_size: 10
      optimizer: adam
      learning_rate: 0.01
  prose:
    data:
      kind: text
      source: grammar
    defaults:
      seeds: [0]
      embedding_size: 8
      hidden_size: 8
      epochs: 1
      batch_size: 10
      time_steps: 5
      optimizer: sgd
      learning_rate: 1
variants:
  plain:
    task: sums
  peeky:
    task: sums
    decoder: peeky
    hidden_size: 10
  writer:
    task: prose
generate:
  prompts: [you]
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def load(folder, text=PARAMS):
    (folder / "params.yaml").write_text(text, encoding="utf-8")
    return params.load()


def changed(old, new):
    assert PARAMS.count(old) == 1, f"{old!r} must stand once in PARAMS"
    return PARAMS.replace(old, new)


BRACKETS = """\
  brackets:
    data:
      kind: brackets
    defaults:
      seeds: [0]
      embedding_size: 4
      hidden_size: 6
      epochs: 1
      batch_size: 10
      optimizer: adam
      learning_rate: 0.01
"""


def with_brackets():
    """Return the params with a task of the third kind, and a variant of it."""
    text = changed("variants:\n", f"{BRACKETS}variants:\n")
    return text.replace("  writer:\n", "  judge:\n    task: brackets\n  writer:\n")


def test_variant_takes_defaults_of_its_task_and_lays_its_own_options_over_them(folder):
    study = load(folder)
    plain, peeky = study.variant("plain"), study.variant("peeky")
    assert isinstance(plain, PairsOptions)
    assert (plain.decoder, plain.hidden_size, plain.seeds) == ("plain", 6, [0, 1])
    assert (peeky.decoder, peeky.hidden_size, peeky.seeds) == ("peeky", 10, [0, 1])
    assert peeky.model_dump() == plain.model_dump() | {"decoder": "peeky", "hidden_size": 10}


def test_kind_of_a_task_decides_which_options_a_variant_has(folder):
    study = load(folder, with_brackets())
    kinds = {"plain": PairsOptions, "writer": CorpusOptions, "judge": LabelsOptions}
    for variant, options in kinds.items():
        assert type(study.variant(variant)) is options
        assert study.kind_of(variant) is named(options.kind)
        assert study.task_of(variant).kind == options.kind
    assert list(study.variants_of("sums")) == ["plain", "peeky"]
    assert list(study.variants_of("prose")) == ["writer"]
    assert study.variants_of("no such task") == {}
    assert list(study.tasks) == ["sums", "prose", "brackets"]


def test_whole_number_is_taken_where_a_fraction_is_expected(folder):
    assert load(folder).variant("writer").learning_rate == 1.0


def test_compute_and_generate_may_be_left_out(folder):
    text = changed("compute:\n  device: cpu\n  threads: 1\n", "")
    study = load(folder, text.replace("generate:\n  prompts: [you]\n", ""))
    assert (study.compute.device, study.compute.workers) == ("auto", "auto")
    assert study.generate is None


@pytest.mark.parametrize(
    ("old", "new", "faults"),
    [
        pytest.param(
            "    decoder: peeky\n",
            "    decodr: peeky\n",
            ["variants.peeky.decodr: unknown key (did you mean decoder?)"],
            id="misspelt key of a variant",
        ),
        pytest.param(
            "      batch_size: 10\n      optimizer: adam\n",
            "      batch_size: 10\n      optimizer: adam\n      dropuot: 0.1\n",
            ["tasks.sums.defaults.dropuot: unknown key (did you mean dropout?)"],
            id="misspelt key of a task's defaults is named once",
        ),
        pytest.param(
            "      max_digits: 1\n",
            "      max_digit: 1\n",
            ["tasks.sums.data.max_digit: unknown key (did you mean max_digits?)"],
            id="misspelt key of a task's data",
        ),
        pytest.param(
            "    data:\n      kind: text\n",
            "    dta: 1\n    data:\n      kind: text\n",
            ["tasks.prose.dta: unknown key (did you mean data?)"],
            id="misspelt key of a task",
        ),
        pytest.param(
            "compute:\n",
            "compte:\n",
            ["compte: unknown key (did you mean compute?)"],
            id="misspelt section",
        ),
        pytest.param(
            "      learning_rate: 0.01\n",
            "",
            ["variants.plain.learning_rate: missing", "variants.peeky.learning_rate: missing"],
            id="missing key",
        ),
        pytest.param(
            "      epochs: 2\n",
            "      epoch: 2\n",
            ["tasks.sums.defaults.epoch: unknown key (did you mean epochs?)"],
            id="misspelt required key is not also missing",
        ),
        pytest.param(
            "  threads: 1\n",
            "  threads: 1\n  workers: atuo\n",
            [
                "compute.workers: input should be 'auto', or input should be a valid integer, "
                "not 'atuo' (did you mean auto?)"
            ],
            id="value of several types is named once",
        ),
        pytest.param(
            "      epochs: 2\n",
            '      epochs: "2"\n',
            ["tasks.sums.defaults.epochs: input should be a valid integer, not '2'"],
            id="text instead of a number",
        ),
        pytest.param(
            "      epochs: 2\n",
            "      epochs: true\n",
            ["tasks.sums.defaults.epochs: input should be a valid integer, not True"],
            id="truth value instead of a number",
        ),
        pytest.param(
            "      epochs: 2\n",
            "      epochs: 0\n",
            ["tasks.sums.defaults.epochs: input should be greater than or equal to 1, not 0"],
            id="number out of range",
        ),
        pytest.param(
            "      learning_rate: 0.01\n",
            "      learning_rate: .inf\n",
            ["tasks.sums.defaults.learning_rate: input should be a finite number, not inf"],
            id="endless number",
        ),
        pytest.param(
            "    decoder: peeky\n",
            "    decoder: peekie\n",
            [
                "variants.peeky.decoder: input should be 'plain', 'peeky', 'attention', "
                "'input_feeding' or 'in_step', not 'peekie' (did you mean peeky?)"
            ],
            id="unknown choice",
        ),
        pytest.param(
            "      seeds: [0, 1]\n",
            "      seeds: [0, -1]\n",
            ["tasks.sums.defaults.seeds.1: input should be greater than or equal to 0, not -1"],
            id="place within a list",
        ),
        pytest.param(
            "    decoder: peeky\n",
            "    seeds: [3, 3]\n",
            ["variants.peeky.seeds: every seed may stand only once"],
            id="seed twice",
        ),
        pytest.param(
            "    hidden_size: 10\n",
            "    hidden_size: 9\n    bidirectional: true\n",
            ["variants.peeky.hidden_size: must be even where bidirectional is true"],
            id="two ways do not fit an odd size",
        ),
        pytest.param(
            "    task: prose\n",
            "    task: prose\n    hidden_size: 9\n    tie_weights: true\n",
            ["variants.writer.embedding_size: must equal hidden_size where tie_weights is true"],
            id="tied weights of different sizes",
        ),
        pytest.param(
            "    task: prose\n",
            "    task: prse\n",
            ["variants.writer.task: there is no task 'prse' (did you mean prose?)"],
            id="unknown task of a variant",
        ),
        pytest.param(
            "    task: prose\n",
            "    task: [ptb]\n",
            ["variants.writer.task: there is no task ['ptb']"],
            id="list in place of a task",
        ),
        pytest.param(
            "    task: prose\n",
            "    epochs: 3\n",
            ["variants.writer: expected options with their values, task among them"],
            id="variant without task",
        ),
        pytest.param(
            "      kind: addition\n",
            "      kind: adition\n",
            [
                "tasks.sums.data.kind: expected one of addition, brackets, captions, "
                "copy, dates, dialogue, programs, sentences, text, "
                "translation, not 'adition' (did you mean addition?)"
            ],
            id="unknown kind of data",
        ),
        pytest.param(
            "  prompts: [you]\n",
            "  prompts: []\n",
            ["generate.prompts: list should have at least 1 item after validation, not 0, not []"],
            id="nothing to continue",
        ),
        pytest.param(
            "generate:\n",
            "scoring:\n  methods: [cash]\ngenerate:\n",
            [
                "scoring.methods.0: input should be 'cache', 'dynamic', 'dynamic_rms', "
                "'mc_dropout' or 'temperature', not 'cash'"
            ],
            id="unknown method",
        ),
        pytest.param(
            "    decoder: peeky\n",
            "    tie_weights: true\n",
            ["variants.peeky.tie_weights: unknown key"],
            id="option of the other kind",
        ),
        pytest.param(
            "    decoder: peeky\n",
            "    match_parameters: plane\n",
            ["variants.peeky.match_parameters: there is no variant 'plane' (did you mean plain?)"],
            id="size of an unknown variant",
        ),
        pytest.param(
            "    decoder: peeky\n",
            "    match_parameters: peeky\n",
            [
                "variants.peeky.match_parameters: peeky cannot be matched with itself; "
                "name another variant"
            ],
            id="size of the variant itself",
        ),
        pytest.param(
            "    hidden_size: 10\n",
            "    match_parameters: plain\n  slim:\n    task: sums\n    match_parameters: peeky\n",
            [
                "variants.slim.match_parameters: the size of peeky is matched itself; "
                "name another variant"
            ],
            id="size of a matched size",
        ),
        pytest.param(
            "    decoder: peeky\n    hidden_size: 10\n",
            "    decoder: peekie\n  slim:\n    task: sums\n    match_parameters: peeky\n",
            [
                "variants.peeky.decoder: input should be 'plain', 'peeky', 'attention', "
                "'input_feeding' or 'in_step', not 'peekie' (did you mean peeky?)"
            ],
            id="size of a faulty variant",
        ),
        pytest.param(
            "    hidden_size: 10\n",
            "    hidden_size: ten\n    match_parameters: peaky\n",
            ["variants.peeky.hidden_size: input should be a valid integer, not 'ten'"],
            id="faulty variant whose size is that of an unknown one",
        ),
        pytest.param(
            "    hidden_size: 10\n",
            "    hidden_size: ten\n  slim:\n    task: sums\n    match_parameters: peekie\n",
            [
                "variants.peeky.hidden_size: input should be a valid integer, not 'ten'",
                "variants.slim.match_parameters: there is no variant 'peekie' "
                "(did you mean peeky?)",
            ],
            id="faulty variant meant by an unknown one",
        ),
        pytest.param(
            "    task: prose\n",
            "    task: prose\n    match_parameters: plain\n",
            ["variants.writer.match_parameters: plain is a variant of another task"],
            id="size of another task",
        ),
        pytest.param(
            "    decoder: peeky\n",
            "    match_parameters: 3\n",
            ["variants.peeky.match_parameters: input should be a valid string, not 3"],
            id="size of a number",
        ),
        pytest.param(
            "  prompts: [you]\n",
            "  prompts: [you]\ncomparison:\n  references:\n    peaky: plain\n",
            ["comparison.references.peaky: there is no variant 'peaky' (did you mean peeky?)"],
            id="comparison of an unknown variant",
        ),
        pytest.param(
            "  prompts: [you]\n",
            "  prompts: [you]\ncomparison:\n  references:\n    peeky: plane\n",
            ["comparison.references.peeky: there is no variant 'plane' (did you mean plain?)"],
            id="comparison with an unknown variant",
        ),
        pytest.param(
            "  prompts: [you]\n",
            "  prompts: [you]\ncomparison:\n  references:\n    writer: plain\n",
            ["comparison.references.writer: plain is a variant of another task"],
            id="comparison with a variant of another task",
        ),
        pytest.param(
            "  prompts: [you]\n",
            "  prompts: [you]\ncomparison:\n  reference:\n    peeky: plain\n",
            ["comparison.reference: unknown key (did you mean references?)"],
            id="misspelt key of the comparison",
        ),
        pytest.param(
            "  prompts: [you]\n",
            "  prompts: [you]\ncomparison:\n  confidence: 95\n  resamples: 10\n",
            [
                "comparison.confidence: input should be less than 1, not 95",
                "comparison.resamples: unknown key",
            ],
            id="numbers of the comparison out of range",
        ),
        pytest.param(
            "  prompts: [you]\n",
            "  prompts: [you]\ncomparison:\n  questions:\n    peekly: Does it help?\n",
            [
                "comparison.questions.peekly: there is no variant 'peekly' (did you mean peeky?)",
            ],
            id="question about a variant that there is not",
        ),
        pytest.param(
            "  prompts: [you]\n",
            "  prompts: [you]\ncomparison:\n  factors: [hidden_size, decodr]\n",
            [
                "comparison.factors: plain has no option 'decodr' (did you mean decoder?)",
                "comparison.factors: writer has no option 'decodr'",
            ],
            id="factor that is no option",
        ),
        pytest.param(
            "compute:\n",
            "comparision:\n  seed: 1\ncompute:\n",
            ["comparision: unknown key (did you mean comparison?)"],
            id="misspelt comparison",
        ),
        pytest.param(
            "  prompts: [you]\n",
            "  prompts: [you]\ncheckpoint:\n  every: 0\n",
            ["checkpoint.every: input should be greater than or equal to 1, not 0"],
            id="checkpoints after no step",
        ),
        pytest.param(
            "    decoder: peeky\n",
            "    teacher_forcing: 1.5\n    teacher_forcing_by: steps\n",
            [
                "variants.peeky.teacher_forcing: input should be less than or equal to 1, not 1.5",
                "variants.peeky.teacher_forcing_by: input should be 'step' or 'sequence', "
                "not 'steps' (did you mean step?)",
            ],
            id="teacher forcing out of range",
        ),
        pytest.param(
            "    decoder: peeky\n",
            "    pooling: last\n",
            ["variants.peeky.pooling: unknown key"],
            id="option of a third kind",
        ),
        pytest.param(
            "      kind: addition\n",
            "      kind: [addition]\n",
            [
                "tasks.sums.data.kind: expected one of addition, brackets, captions, "
                "copy, dates, dialogue, programs, sentences, text, "
                "translation, not ['addition'] (did you mean addition?)"
            ],
            id="list in place of a kind",
        ),
        pytest.param(
            "compute:\n  device: cpu\n  threads: 1\n",
            "compute: 3\n",
            ["compute: input should be a valid dictionary or instance of Compute, not 3"],
            id="number in place of a section",
        ),
    ],
)
def test_fault_is_named_with_its_place(folder, old, new, faults):
    with pytest.raises(UserError) as caught:
        load(folder, changed(old, new))
    lines = ["params.yaml cannot be used:", *(f"  {fault}" for fault in faults)]
    assert str(caught.value) == "\n".join(lines)
    assert caught.value.exit_code == 2


def test_a_faulty_variant_is_not_called_missing_where_others_name_it(folder):
    text = changed("    decoder: peeky\n", "    decoder: peekie\n").replace(
        "  writer:\n", "  slim:\n    task: sums\n    match_parameters: peeky\n  writer:\n"
    )
    with pytest.raises(UserError) as caught:
        load(folder, text + "comparison:\n  references:\n    peeky: plain\n")
    _, *faults = str(caught.value).splitlines()
    assert [fault.split(":")[0] for fault in faults] == ["  variants.peeky.decoder"]


def test_all_faults_are_named_at_once(folder):
    text = changed("  device: cpu\n", "  device: gpu\n").replace("epochs: 1\n", "epochs: -1\n")
    with pytest.raises(UserError) as caught:
        load(folder, text)
    assert "  compute.device: " in str(caught.value)
    assert "  tasks.prose.defaults.epochs: " in str(caught.value)


def test_options_may_be_named_once_and_used_again(folder):
    text = changed("  peeky:\n    task: sums\n", "  peeky:\n    <<: *plain\n")
    text = text.replace("  plain:\n", "  plain: &plain\n")
    assert load(folder, text).variants == load(folder).variants


@pytest.mark.parametrize("section", ["tasks", "variants"])
@pytest.mark.parametrize("value", ["", " {}", " 3", " [a]"])
def test_section_without_named_entries_is_refused(folder, section, value):
    text = f"{section}:{value}\n" + {"tasks": "variants: {}\n", "variants": ""}[section]
    with pytest.raises(UserError, match=f"{section}: expected a section with at least one named"):
        load(folder, text)


@pytest.mark.parametrize(("section", "entry"), [("tasks", "prose"), ("variants", "writer")])
@pytest.mark.parametrize("name", ["../../evil", "..", "-flag", "a.b", "v2", "1e3", ""])
def test_name_that_is_not_fit_for_a_file_is_refused(folder, section, entry, name):
    with pytest.raises(UserError) as caught:
        load(folder, PARAMS.replace(entry, f"'{name}'"))
    assert str(caught.value) == (f"params.yaml cannot be used:\n  {section}.{name}: {unfit(name)}")


def test_name_that_yaml_reads_as_a_number_is_refused(folder):
    with pytest.raises(UserError, match=r"variants\.12: YAML reads it as int"):
        load(folder, changed("writer", "12"))


def test_name_may_have_letters_digits_dash_and_underline(folder):
    assert "2-Layers_v1" in load(folder, changed("writer", "2-Layers_v1")).variants


@pytest.mark.parametrize(
    ("study", "path"),
    [("root", "params.yaml"), ("date", "pipeline/date/params.yaml")],
)
def test_missing_params_file_is_named_with_the_way_out(folder, study, path):
    with pytest.raises(UserError) as caught:
        params.load(study)
    assert str(caught.value).startswith(f"{path} does not exist. Run unroll in the project's root")
    assert "--study <study>" in str(caught.value)


def test_unknown_variant_is_answered_with_the_nearest_and_all_there_are(folder):
    with pytest.raises(UserError) as caught:
        load(folder).variant("peaky")
    assert str(caught.value) == (
        "params.yaml has no variant 'peaky' (did you mean peeky?); it has plain, peeky, writer"
    )


def test_unknown_task_is_answered_with_all_there_are(folder):
    with pytest.raises(UserError) as caught:
        load(folder).task("translation")
    assert str(caught.value) == "params.yaml has no task 'translation'; it has sums, prose"


def test_variant_may_take_its_size_from_another_of_its_task(folder):
    study = load(folder, changed("    decoder: peeky\n", "    match_parameters: plain\n"))
    assert study.variant("peeky").match_parameters == "plain"
    assert study.variant("plain").match_parameters is None


def test_variants_are_compared_with_the_first_of_their_task(folder):
    study = load(folder)
    assert (study.reference("plain"), study.reference("writer")) == (None, None)
    assert study.reference("peeky") == "plain"


def test_variants_are_compared_with_the_one_that_is_named(folder):
    slim = "  slim:\n    task: sums\n    cell: gru\n  writer:\n"
    references = "comparison:\n  references:\n    slim: peeky\n    plain: slim\n    peeky: peeky\n"
    study = load(folder, changed("  writer:\n", slim) + references)
    found = {name: study.reference(name) for name in study.variants}
    assert found == {"plain": "slim", "peeky": None, "slim": "peeky", "writer": None}


def test_comparison_may_be_left_out_or_set(folder):
    assert load(folder).comparison.model_dump() == {
        "references": {},
        "questions": {},
        "factors": [],
        "confidence": 0.95,
    }
    text = PARAMS + "comparison:\n  confidence: 0.9\n  questions: {peeky: Does it help?}\n"
    found = load(folder, text).comparison
    assert (found.confidence, found.questions) == (0.9, {"peeky": "Does it help?"})


DESIGN = """\
tasks:
  sums:
    data: {kind: addition, max_digits: 1, train: 20, valid: 5, test: 5}
    defaults: {seeds: [0], embedding_size: 4, hidden_size: 6, epochs: 2, batch_size: 10,
               optimizer: adam, learning_rate: 0.01}
variants:
  plain: {task: sums}
  peeky: {task: sums, decoder: peeky}
  reversed: {task: sums, reverse_source: true}
  both: {task: sums, decoder: peeky, reverse_source: true}
comparison:
  factors: [decoder, reverse_source]
"""


def test_factors_need_every_combination_once(folder):
    assert load(folder, DESIGN).comparison.factors == ["decoder", "reverse_source"]
    without = DESIGN.replace("  both: {task: sums, decoder: peeky, reverse_source: true}\n", "")
    lacking = "no variant has decoder peeky, reverse_source true; add one, or leave a factor out"
    with pytest.raises(UserError, match=f"comparison.factors: {lacking}"):
        load(folder, without)
    apart = DESIGN.replace("decoder: peeky}", "decoder: peeky, seeds: [1]}", 1)
    with pytest.raises(UserError, match="plain, peeky, reversed, both have no seed in common"):
        load(folder, apart)
    twice = DESIGN.replace("comparison:", "  again: {task: sums, decoder: peeky}\ncomparison:")
    alike = "peeky and again are alike: decoder peeky, reverse_source false; leave one out"
    with pytest.raises(UserError, match=f"comparison.factors: {alike}"):
        load(folder, twice)


def test_unknown_variant_has_no_reference(folder):
    with pytest.raises(UserError, match=r"no variant 'peaky' \(did you mean peeky\?\)"):
        load(folder).reference("peaky")


@pytest.mark.parametrize(
    "text",
    ["", "- 1\n", "3\n", "tasks\n"],
    ids=["empty", "a list", "a number", "a word"],
)
def test_file_without_sections_is_refused(folder, text):
    with pytest.raises(
        UserError, match=r"^params\.yaml must hold the sections tasks and variants$"
    ):
        load(folder, text)


def test_file_that_is_no_yaml_is_refused_with_the_place(folder):
    with pytest.raises(UserError, match=r"(?s)^params\.yaml is not valid YAML: .*line 1"):
        load(folder, "compute: [")


@pytest.mark.parametrize("name", ["", "..", "../root", "a/b", "/tmp", ".hidden", "two words"])
def test_what_is_no_name_of_a_study_leads_to_no_file(folder, name):
    with pytest.raises(UserError, match="is not the name of a study; it is root, or a folder of"):
        params.load(name)


def test_studies_are_found_by_looking(folder):
    assert params.studies() == ["root"]
    for name in ("toy", "a", "notes", "other"):
        (folder / "pipeline" / name).mkdir(parents=True)
    for name in ("toy", "a"):
        (folder / "pipeline" / name / "dvc.yaml").write_text("vars:\n  - study:\n      root: .\n")
    (folder / "pipeline" / "other" / "dvc.yaml").write_text("stages: {}\n")
    assert params.studies() == ["root", "a", "toy"]


def test_what_is_to_be_written_is_checked_as_in_the_params_file():
    given = {"prompts": ["you"], "skip": ["the"], "temperature": 0.5}
    assert params.generation(given).model_dump().items() >= given.items()
    with pytest.raises(UserError) as caught:
        params.generation(given | {"temperature": float("nan"), "samples": 0})
    assert [line.split(":")[0] for line in str(caught.value).splitlines()] == [
        "generate.samples",
        "generate.temperature",
    ]


PLACES = {
    "plan": (("train", "peeky"), "{data}/plans/train/peeky.json"),
    "prepared": (("sums",), "{data}/prepared/sums"),
    "size": (("peeky",), "{data}/sizes/sums/peeky.json"),
    "model": (("peeky",), "{data}/models/peeky"),
    "circumstances": (("peeky",), "{data}/circumstances/peeky"),
    "checkpoints": (("peeky",), "{data}/checkpoints/peeky"),
    "evaluation": (("peeky",), "{data}/evaluation/peeky"),
    "generated": (("writer",), "{data}/generated/writer"),
    "metrics": (("peeky",), "{reports}/metrics/peeky.json"),
}
FILES = {
    "params_file": "{folder}params.yaml",
    "dvc_file": "{folder}dvc.yaml",
    "lock_file": "{folder}dvc.lock",
    "report_plan": "{data}/plans/report.json",
    "sources": "{data}/sources.json",
    "tracked": "{data}/tracked.csv",
}


def places(study):
    """Return all places of a study."""
    found = {name: getattr(study, name)(*asked) for name, (asked, _) in PLACES.items()}
    return found | {name: getattr(study, name) for name in FILES}


def expected_places(**folders):
    patterns = {name: pattern for name, (_, pattern) in PLACES.items()} | FILES
    return {name: Path(pattern.format(**folders)) for name, pattern in patterns.items()}


def test_files_of_the_root_study_lie_in_data_and_reports(folder):
    study = load(folder)
    assert places(study) == expected_places(folder="", data="data", reports="reports")


def test_files_of_another_study_lie_in_folders_of_its_name(folder):
    toy = make_toy(folder)
    names = {"folder": "pipeline/toy/", "data": "data/toy", "reports": "reports/toy"}
    assert places(toy) == expected_places(**names)
    assert not set(places(toy).values()) & set(places(load(folder)).values())


def make_toy(folder):
    (folder / "pipeline" / "toy").mkdir(parents=True)
    (folder / "pipeline" / "toy" / "params.yaml").write_text(PARAMS, encoding="utf-8")
    return params.load("toy")


def test_what_people_type_is_of_their_study(folder):
    root, toy = load(folder), make_toy(folder)
    assert (root.name, toy.name) == ("root", "toy")
    assert root.repro == "dvc repro"
    assert toy.repro == "dvc repro pipeline/toy/dvc.yaml"
    assert root.rerun("train@peeky") == "run: dvc repro train@peeky"
    assert toy.rerun("train@peeky") == "run: dvc repro pipeline/toy/dvc.yaml:train@peeky"
    assert root.command("train", "peeky") == "unroll train peeky"
    assert toy.command("train", "peeky") == "unroll --study toy train peeky"


def test_a_remedy_is_the_stage_that_makes_the_files_anew(folder):
    study = load(folder)
    told = r"^it is damaged; run: dvc repro train@peeky$"
    with pytest.raises(DataError, match=told), study.remedy("train@peeky"):
        raise DataError("it is damaged")
    with pytest.raises(UserError, match=r"^no such thing$"), study.remedy("train@peeky"):
        raise UserError("no such thing")


def test_every_task_has_what_a_task_must_have():
    assert {"addition", "brackets", "text"} <= set(tasks.names())
    for name in tasks.names():
        found = tasks.named(name)
        assert issubclass(found, Task)
        assert found.kind in OPTIONS
        assert named(found.kind).name == found.kind
        assert issubclass(found.Options, Strict)
        assert {"kind"} <= set(found.Options.model_fields)


@pytest.mark.parametrize(
    "options",
    [
        {"kind": "addition"},
        {"kind": "addition", "max_digits": 1},
        {"kind": "brackets"},
        {"kind": "brackets", "longest": 2},
        {"kind": "text", "source": "grammar"},
    ],
    ids=str,
)
def test_the_example_of_a_task_is_a_question_of_it(options):
    """It is shown to those who ask something else, and tried where a model is registered."""
    found = tasks.named(options["kind"])
    task = found(found.Options.model_validate(options))
    assert task.question(task.example) == task.example


@pytest.mark.parametrize("study", ["root", "quick"])
def test_params_files_of_the_project_can_be_used(monkeypatch, study):
    monkeypatch.chdir(PROJECT)
    loaded = params.load(study)
    assert {"baseline", "reversed", "peeky", "rnnlm"} <= set(loaded.variants)


def test_root_study_has_the_settings_of_the_book(monkeypatch):
    monkeypatch.chdir(PROJECT)
    study = params.load()
    baseline, rnnlm = study.variant("baseline"), study.variant("rnnlm")
    assert (baseline.embedding_size, baseline.hidden_size) == (16, 128)
    assert (baseline.batch_size, baseline.epochs, baseline.clip) == (128, 25, 5.0)
    assert (baseline.optimizer, baseline.decoder, baseline.bridge) == ("adam", "plain", "hidden")
    assert study.variant("reversed").model_dump() == baseline.model_dump() | {
        "reverse_source": True
    }
    assert (rnnlm.embedding_size, rnnlm.hidden_size) == (100, 100)
    assert (rnnlm.batch_size, rnnlm.epochs, rnnlm.clip) == (20, 4, 0.25)
    assert (rnnlm.optimizer, rnnlm.learning_rate) == ("sgd", 20.0)
