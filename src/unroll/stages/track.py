"""Stage track: MLflow brought to what the outputs of the study imply."""

import sys

import pandas as pd

from unroll.errors import DataError, UserError, first_line
from unroll.runs.imported import Imported
from unroll.storage.files import write_text
from unroll.study import Study
from unroll.tracking.address import shown_uri
from unroll.tracking.unchanged import Unchanged


def track(study: Study, best_effort: bool = False) -> None:
    """Create, complete or replace runs and models; print what was done.

    Raises:
        DataError: MLflow cannot be reached or written, or an output is damaged. With
            `best_effort` this is a warning.
    """
    unchanged = Unchanged(study)
    if unchanged.holds():
        print("nothing to do: no file has changed since MLflow held all of this study")
        return
    rows: list[dict[str, str]] = []
    fault = bring(study, rows)
    if fault:
        again = study.command("track")
        message = f"MLflow at {shown_uri()} could not be written ({fault})"
        if not best_effort:
            raise DataError(f"{message}; what is missing is added by: {again}")
        print(f"warning: {message}; later: {again}", file=sys.stderr)
    print_rows(rows)
    write_text(study.tracked, _keys(study))
    if not fault:
        unchanged.note()


def print_rows(rows: list[dict[str, str]]) -> None:
    """Print what was done with each run and model."""
    table = pd.DataFrame(rows, columns=["what", "seed", "action", "run"])
    print(table.to_string(index=False) if len(table) else "nothing was tracked")


def bring(study: Study, rows: list[dict[str, str]], only: Imported | None = None) -> str:
    """Bring all, or an imported model alone, adding rows of what was done.

    Returns what went wrong; an empty text where nothing did.
    """
    try:
        from unroll.tracking.store import connect
        from unroll.tracking.sync import Sync

        sync = Sync(connect(), study, rows)
        if only is None:
            sync.everything()
        else:
            sync.imported(only)
    except UserError:
        raise
    except Exception as error:  # whatever the server, its database or the network does
        return first_line(error)
    return ""


def _keys(study: Study) -> str:
    """Return the keys of all runs that are scored: what a later `dvc repro` compares."""
    from unroll.runs.trained import evaluated

    rows = ["variant,seed,key"]
    for variant in study.variants:
        if study.evaluation(variant).is_dir():
            rows += [
                f"{variant},{record.seed},{record.key}" for record in evaluated(study, variant)
            ]
    return "\n".join(rows) + "\n"
