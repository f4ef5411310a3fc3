"""What the stages of a study leave, without a training: for what is made of it."""

import json
from dataclasses import replace

import pandas as pd

from models.toys import CPU, FORM, addition, pairs, seq2seq
from unroll.data.pairs import save_pairs
from unroll.evaluation.scores import write_scores
from unroll.runs.model import TrainedModel, write_model
from unroll.runs.record import Record, seed_folder, write_documents
from unroll.runs.recorder import Recorder
from unroll.runs.subject import Subject
from unroll.storage.files import write_text
from unroll.storage.folders import new_folder
from unroll.study import Study
from unroll.tracking.lineage import dvc_digest
from unroll.tracking.state import VariantState, opening
from unroll.training.checkpoint import Checkpoint
from unroll.training.loop import Epoch
from unroll.training.run import Job
from unroll.training.workers import Done, Started

HISTORY = pd.DataFrame({"epoch": [1], "train_loss": [0.5], "valid_exact_match": [0.25]})
EPOCH = Epoch(1, {"train_loss": 0.5, "valid_exact_match": 0.25}, 1.0, 1.0, 1.0)
CODE = "5" * 64


def train(study: Study, seed: int = 0, sources: str = CODE, **options) -> VariantState:
    """Leave what a training of a seed of `plain` leaves, and return its opening."""
    about = Subject(
        "root", "plain", study.variant("plain").model_copy(update=options),
        "d" * 64, "c" * 64, {"device": "cpu"},
    )  # fmt: skip
    recorder = Recorder(study.command("train", "plain"), sources, study.circumstances("plain"))
    if not study.prepared("sums").exists():
        save_pairs(replace(pairs(), facts={"counts": {"train": 20}}), study.prepared("sums"))
    target = seed_folder(study.model("plain"), seed)
    record = Record(about, seed, addition(), 12, {"torch": "2.13.0"}, HISTORY)
    write_model(target, TrainedModel(record, FORM, seq2seq(hidden_size=8)))
    checkpoint = Checkpoint(study.checkpoints("plain"), seed, "key", every=None)
    prepared = study.prepared("sums")
    job = Job(about, seed, addition(), CPU, prepared, target, checkpoint, sources, "")
    for message in (Started(), EPOCH, Done(1)):
        recorder(job, message)
    folders = {"prepare@sums": prepared, "train@plain": study.model("plain")}
    stages = {
        stage: {"outs": [{"path": folder.as_posix(), "md5": dvc_digest(folder)}]}
        for stage, folder in folders.items()
    }
    study.lock_file.write_text(json.dumps({"schema": "2.0", "stages": stages}))
    return opening(about, recorder.source, about.options.seeds)


def evaluate(study: Study, records: list[Record]) -> None:
    """Leave what an evaluation of these records leaves."""
    with new_folder(study.evaluation("plain")) as new:
        write_scores(new, {record.seed: {"test_exact_match": 0.5} for record in records})
        for record in records:
            write_documents(seed_folder(new, record.seed), record)
            write_text(seed_folder(new, record.seed) / "samples.txt", f"Q {record.seed}\n")
