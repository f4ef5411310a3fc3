"""Measure an entry of pipeline/benchmark/params.yaml, and write what was found.

    python benchmarks/measure.py addition            what DVC's stage measure@addition runs
    python benchmarks/measure.py --params FILE --reports FOLDER addition

`make benchmark` measures all entries and writes docs/performance.md. Run it on an otherwise idle
machine, in the project's root folder. An entry has a process of its own, with one thread, that
keeps its memory as a worker of a training does; what it finds goes to
reports/benchmark/results/NAME.json when all of it was found.
"""

import importlib
import inspect
import os
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import psutil
from pydantic import ValidationError

from results import FOLDER, Compared, Found, Grown, Result, path_of, spread, write_result
from turns import Turns, apart
from unroll.errors import UserError
from unroll.faults import pick
from unroll.storage.yaml import read_yaml

PARAMS = Path("pipeline/benchmark/params.yaml")
# NumPy and PyTorch read these when they are imported.
ONE_THREAD = dict.fromkeys(["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"], "1")


def sizes_of(path: Path, name: str) -> tuple[Turns, dict[str, Any]]:
    """Return how often an entry of the params file is measured, and how large.

    Raises:
        UserError: there is no such entry, or it is not what its measurement takes.
    """
    raw = read_yaml(path)
    if not isinstance(raw, dict) or not isinstance(raw.get("entries"), dict):
        raise UserError(f"{path} must hold the sections turns and entries")
    sizes = dict(pick(raw["entries"], name, "entry", path))
    try:
        turns = Turns(**{**raw.get("turns", {}), **sizes.pop("turns", {})})
        inspect.signature(module_of(sizes, name).measure).bind(turns, **_own(sizes))
    except TypeError as error:
        raise UserError(f"{path}, entries.{name}: {error}") from None
    return turns, sizes


def module_of(sizes: Mapping[str, Any], name: str) -> Any:
    """Return what measures an entry: the file in measurements/ of its name, or as it says."""
    return importlib.import_module(f"measurements.{module_file(name, sizes).stem}")


def module_file(name: str, sizes: Mapping[str, Any]) -> Path:
    """Return the file of what measures an entry.

    Raises:
        UserError: there is no such file.
    """
    path = Path(__file__).parent / "measurements" / f"{sizes.get('measure', name)}.py"
    if not path.is_file():
        raise UserError(f"entries.{name}: there is no benchmarks/measurements/{path.name}")
    return path


def _own(sizes: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in sizes.items() if key != "measure"}


def found_by(name: str, turns: Turns, sizes: Mapping[str, Any]) -> list[Found]:
    """Return what the measurement of an entry finds; print each thing as it is found.

    Raises:
        UserError: an option is not what a model or a task takes, or a command failed.
    """
    found = []
    try:
        for one in module_of(sizes, name).measure(turns, **_own(sizes)):
            found.append(one)
            print(told(one), flush=True)
    except ValidationError as error:
        raise UserError(f"entries.{name}: {error}") from None
    return found


def told(found: Found) -> str:
    """Return what was found, in a line."""
    if isinstance(found, Grown):
        k = found.exponent()
        return f"{found.what}: {found.unit} grow as {found.by} to the power of {k.median:.2f}"
    of = [f"{way} {spread(values).median:,.4g}" for way, values in found.ways.items()]
    return f"{found.what}, {found.unit}: {'; '.join(of)}"


def machine_facts() -> dict[str, Any]:
    """Return what is needed to judge seconds: the processor, what it can, who else works there."""
    import torch

    from unroll.options import Compute
    from unroll.training.machine import choose

    can = {
        "AVX2": torch.cpu._is_avx2_supported(),
        "AVX-512": torch.cpu._is_avx512_supported(),
        "AVX-512 bf16": torch.cpu._is_avx512_bf16_supported(),
        "AMX": torch.cpu._is_amx_tile_supported(),
    }
    return {
        **choose(Compute(device="cpu")).environment(),
        "cores": os.cpu_count(),
        "memory_gb": round(psutil.virtual_memory().total / 1e9, 1),
        "units": [name for name, there in can.items() if there],
        "load": round(os.getloadavg()[0], 2),  # processes that wanted a core, in the last minute
    }


@click.command(help=__doc__.replace("\n\n", "\n\n\b\n"))
@click.argument("name")
@click.option("--params", default=PARAMS, show_default=True, type=Path, help="The sizes.")
@click.option("--reports", default=FOLDER, show_default=True, type=Path, help="A folder.")
def main(name: str, params: Path, reports: Path) -> None:
    from unroll.training.workers import KEEP_MEMORY

    try:
        turns, sizes = sizes_of(params, name)
        facts, started = machine_facts(), time.monotonic()
        os.environ.update({**KEEP_MEMORY, **ONE_THREAD})
        print(f"{name}: {turns.rounds} rounds", flush=True)
        found, _ = apart(found_by, name, turns, sizes)
    except UserError as error:
        raise click.ClickException(str(error)) from None
    minutes = round((time.monotonic() - started) / 60, 2)
    compared = [of for of in found if isinstance(of, Compared)]
    grown = [of for of in found if isinstance(of, Grown)]
    date = datetime.now(UTC).strftime("%Y-%m-%d")
    shown = {**vars(turns), **sizes}
    write_result(reports, Result(name, shown, date, minutes, facts, compared, grown))
    print(f"{path_of(reports, name)}: {minutes:.1f} minutes")


if __name__ == "__main__":
    sys.exit(main())
