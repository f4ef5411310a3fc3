"""Device and precision: the only place that asks what the hardware can do."""

import os
import platform
import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import torch

from unroll.errors import UserError
from unroll.options import Compute


@dataclass(frozen=True)
class Machine:
    """What was chosen: a device (`cpu`, `cuda`, `mps`), a precision and threads per worker."""

    device: str
    precision: str
    threads: int

    def autocast(self) -> AbstractContextManager[None]:
        """Return the context in which the forward pass runs in the chosen precision."""
        enabled = self.precision == "bfloat16"
        return torch.autocast(self.device, dtype=torch.bfloat16, enabled=enabled)

    def prepare_process(self) -> None:
        """Set threads, and ask PyTorch for the same bits at every repetition."""
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.set_num_threads(self.threads)
        torch.backends.cudnn.allow_tf32 = False  # float32 means float32
        # The same as use_deterministic_algorithms, without the second and a half that it
        # spends on importing the compiler.
        torch.set_deterministic_debug_mode("warn")
        # Memory is never read before it is written; filling it first costs time.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def facts(self) -> dict[str, str | int]:
        """Return what of it changes results: it is part of a run's key."""
        return {"device": self.device, "precision": self.precision, "threads": self.threads}

    def environment(self) -> dict[str, str | int]:
        """Return what is needed to judge whether another run can give the same bits."""
        return {
            **self.facts(),
            "device_name": _device_name(self.device),
            "python": platform.python_version(),
            "torch": version("torch"),
            "numpy": version("numpy"),
        }


def choose(compute: Compute) -> Machine:
    """Resolve `auto`: the first of CUDA, MPS and CPU; bf16 where there are units for it.

    Raises:
        UserError: a device is named that is not there, or a precision it cannot compute in.
    """
    there = [name for name, found in _DEVICES.items() if found()]
    device = there[0] if compute.device == "auto" else compute.device
    if device not in there:
        raise UserError(
            f"compute.device: {device} is not available here (there is {', '.join(there)}); "
            "choose one of these, or auto"
        )
    fast = _BF16[device]()
    precision = compute.precision
    if precision == "auto":
        precision = "bfloat16" if fast else "float32"
    if precision == "bfloat16" and not fast:
        raise UserError(
            f"compute.precision: this {device} has no units for bfloat16; choose float32, or auto"
        )
    return Machine(device, precision, compute.threads)


def _cpu_has_bf16() -> bool:
    # PyTorch has no public name for this question yet.
    return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()


_DEVICES: dict[str, Callable[[], bool]] = {
    "cuda": torch.cuda.is_available,
    "mps": torch.backends.mps.is_available,
    "cpu": lambda: True,
}
_BF16: dict[str, Callable[[], bool]] = {
    "cuda": lambda: torch.cuda.is_bf16_supported(including_emulation=False),
    "mps": lambda: False,
    "cpu": _cpu_has_bf16,
}


def _device_name(device: str) -> str:
    if device == "cuda":
        return torch.cuda.get_device_name()
    cpus = Path("/proc/cpuinfo")  # where platform.processor() knows nothing
    names = re.findall(r"^model name\s*: (.*)", cpus.read_text(), re.M) if cpus.exists() else []
    return names[0] if names else platform.processor() or platform.machine()
