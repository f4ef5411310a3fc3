"""What the training and the evaluation of a variant have left: the records of its seeds."""

from pathlib import Path

from unroll.errors import DataError
from unroll.runs.record import Record, read_documents, read_record, seed_folders
from unroll.storage.folders import check_folder
from unroll.study import Study


def trained(study: Study, variant: str) -> list[Record]:
    """Return the records of a variant in the order of the seeds, but for their models.

    Raises:
        DataError: one is missing or damaged, is of another variant, or of another training than
            the others: a training by hand that was ended after its first seed leaves such a mix.
    """
    folder = study.model(variant)
    with study.remedy(f"train@{variant}"):
        records = [read_record(path) for path in seed_folders(folder)]
        check_one_training(study, variant, folder, records)
    return records


def evaluated(study: Study, variant: str) -> list[Record]:
    """Return the records of a variant that was evaluated: its models may be elsewhere.

    Raises:
        DataError: as `trained`.
    """
    folder = study.evaluation(variant)
    with study.remedy(f"evaluate@{variant}"):
        check_folder(folder)
        records = [read_documents(path) for path in seed_folders(folder)]
        check_one_training(study, variant, folder, records)
    return records


def check_one_training(study: Study, variant: str, folder: Path, records: list[Record]) -> None:
    """Check that records are those of all seeds of one training of a variant.

    Raises:
        DataError: they are not.
    """
    subject = records[0].subject
    if (subject.study, subject.variant) != (study.name, variant):
        raise DataError(f"{folder} holds models of {subject.variant} of the study {subject.study}")
    if {record.key for record in records} != {subject.key(seed) for seed in subject.options.seeds}:
        raise DataError(f"{folder} does not hold all seeds of one training")
