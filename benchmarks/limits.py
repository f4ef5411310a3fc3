"""What this machine could do: the rate of matrix products, and of copying memory."""

import time
from collections.abc import Callable

import torch

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def product(precision: str, size: int, device: str = "cpu") -> Callable[[], int]:
    """Return what multiplies two square matrices, and says how many operations it took."""
    one, other = (torch.randn(size, size).to(device, DTYPES[precision]) for _ in range(2))
    into = torch.empty_like(one)

    def multiply() -> int:
        torch.mm(one, other, out=into)
        return 2 * size**3

    return multiply


def copy(megabytes: int) -> Callable[[], int]:
    """Return what copies a block of memory, and says how many bytes were read and written."""
    block = torch.zeros(megabytes * 10**6 // 4)
    into = torch.empty_like(block)

    def move() -> int:
        into.copy_(block)
        return 2 * 4 * len(block)

    return move


def seconds(run: Callable[[], object]) -> float:
    """Return the seconds that something takes, once."""
    started = time.perf_counter()
    run()
    return time.perf_counter() - started
