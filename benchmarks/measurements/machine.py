"""What the machine could do, with one thread.

The rate of the product of two square matrices, in float32 and in bfloat16 (where the processor has
no units for it, it is emulated, and slow), and that of copying a block of memory that is larger
than all caches (bytes that are read and written).
"""

from collections.abc import Iterator

from limits import DTYPES, copy, product
from results import Compared, Found
from turns import Turns

GIGA = 1e9


def measure(turns: Turns, megabytes: int) -> Iterator[Found]:
    """Yield the rates of matrix products, and that of memory."""
    ways = {f"matrix products in {of}": product(of, turns.square) for of in DTYPES}
    rates = turns.rates({**ways, "copying memory": copy(megabytes)})
    for what, values in rates.items():
        unit = "GFLOP/s" if what in ways else "GB/s"
        yield Compared(what, unit, {unit: [value / GIGA for value in values]})
