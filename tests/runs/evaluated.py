"""A study whose variants have been evaluated, though they have learned nothing."""

from pathlib import Path

import pandas as pd

from models.toys import CPU
from unroll import study
from unroll.kinds import named
from unroll.models.initialise import initialise
from unroll.runs.circumstances import EpochTiming, Session, Source, write_circumstances
from unroll.runs.model import TrainedModel, write_model
from unroll.runs.record import Record, seed_folder
from unroll.runs.subject import Subject
from unroll.stages.evaluate import evaluate
from unroll.storage.folders import digest

PARAMS = """
compute: {device: cpu}
tasks:
  addition:
    data: {kind: addition, max_digits: 1, train: 20, valid: 5, test: 5}
    defaults: &defaults
      {seeds: [0, 1], embedding_size: 4, hidden_size: 4, epochs: 2, batch_size: 5,
       optimizer: sgd, learning_rate: 0.1}
  numbers:
    data: {kind: translation, to_language: ko, train: 9, valid: 3, test: 5}
    defaults: *defaults
  grammar:
    data: {kind: text, source: grammar, sentences: 300}
    defaults: {<<: *defaults, time_steps: 5}
variants:
  plain: {task: addition}
  attention: {task: addition, decoder: attention}
  translator: {task: numbers}
  writer: {task: grammar}
scoring: {methods: [temperature], inside: true}
"""

HISTORY = pd.DataFrame({"epoch": [1, 2], "train_loss": [0.3, 1 / 3]}).assign(
    valid_exact_match=[1e-17, 1.0], valid_perplexity=[12.5, 10.0], valid_accuracy=[0.5, 1.0]
)
EPOCHS = [EpochTiming(e, 10.5 * e, 1.5, 0.1, 50.0, 900.0) for e in (1, 2)]
SESSION = Session(
    started=1.0,
    ended=21.5,
    peak_memory_mb=99.5,
    source=Source(
        command="unroll train v",
        stage=None,
        experiment=None,
        commit="0123456789" * 4,
        folder="",
        dirty=True,
        sources=["ab" * 32],
    ),
)
DIFF = b"--- a/x\n+++ b/x\n\xff"


def evaluated_study() -> study.Study:
    """Return such a study, made in the folder of this process."""
    Path("params.yaml").write_text(PARAMS)
    found = study.load()
    for name, task in found.tasks.items():
        named(task.kind).save(task.prepare(), found.prepared(name))
    for variant, options in found.variants.items():
        task, prepared = found.tasks[options.task], found.prepared(options.task)
        kind = found.kind_of(variant)
        form = kind.form(kind.load(prepared))
        about = Subject("root", variant, options, digest(prepared), "cd" * 32, CPU.facts())
        for seed in options.seeds:
            model = kind.build(options, form)
            initialise(model, "default", seed)
            record = Record(about, seed, task, 9, CPU.environment(), HISTORY)
            folder = seed_folder(found.model(variant), seed)
            write_model(folder, TrainedModel(record, form, model))
            write_circumstances(
                seed_folder(found.circumstances(variant), seed), EPOCHS, SESSION, DIFF
            )
        evaluate(found, variant)
    return found
