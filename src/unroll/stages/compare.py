"""The runs that MLflow holds, for the terminal and for spreadsheets."""

import shutil
from collections.abc import Sequence
from dataclasses import dataclass

from unroll.errors import DataError, UserError, first_line
from unroll.study import Study
from unroll.tracking.address import shown_uri

WIDTH = 120  # where there is no terminal


@dataclass(frozen=True)
class Filters:
    """What is shown; nothing named means all."""

    tasks: Sequence[str]
    variants: Sequence[str]
    metrics: Sequence[str]


def compare(study: Study, level: str, filters: Filters, csv: bool) -> None:
    """Print the runs of a study: of level `variant` (means of the seeds) or `seed`.

    Raises:
        UserError: a task is not one of the study, or no run has a metric.
        DataError: MLflow cannot be read, or holds no such run.
    """
    from unroll.tracking.store import connect
    from unroll.tracking.table import as_text, choose, runs_table

    for task in filters.tasks:
        study.task(task)
    try:
        table = runs_table(connect(), study, level)
    except Exception as error:  # whatever the server, its database or the network does
        raise DataError(f"MLflow at {shown_uri()} cannot be read ({first_line(error)})") from None
    for metric in filters.metrics:
        if metric not in table:
            known = [str(column) for column in table if str(column).startswith(("test", "valid"))]
            raise UserError(f"no run has a metric {metric!r}; there is {', '.join(known)}")
    table = choose(table, filters.tasks, filters.variants, filters.metrics)
    if table.empty:
        raise DataError(f"MLflow at {shown_uri()} holds no such run; run: {study.command('track')}")
    if csv:
        print(table.to_csv(index=False), end="")
        return
    print(as_text(table, shutil.get_terminal_size((WIDTH, 0)).columns))
    if "now" in table:
        print("\n* as the files of this study are; others are earlier trials")
