"""What the training of a variant has left: the records of its seeds, all of one training."""

from unroll.config import Study
from unroll.errors import DataError
from unroll.evaluation.selection import validation_metric
from unroll.record import Record, read_record, seed_folders


def trained(study: Study, variant: str) -> list[Record]:
    """Return the records of a variant in the order of the seeds, but for their weights.

    Raises:
        DataError: one is missing or damaged, lacks the metric that decides, is of another
            variant, or of another training than the others: a training by hand that was ended
            after its first seed leaves such a mix.
    """
    folder, remedy = study.model(variant), study.remedy(f"train@{variant}")
    records = [read_record(path, remedy) for path in seed_folders(folder, remedy)]
    subject = records[0].subject
    if (subject.study, subject.variant) != (study.name, variant):
        what = f"{subject.variant} of the study {subject.study}"
        raise DataError(f"{folder} holds models of {what}; {remedy}")
    if {record.key for record in records} != {subject.key(seed) for seed in subject.options.seeds}:
        raise DataError(f"{folder} does not hold all seeds of one training; {remedy}")
    for record in records:
        validation_metric(record)
    return records
