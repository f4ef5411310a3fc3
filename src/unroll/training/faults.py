"""What a failure of the machine means, for the person in front of it."""

import torch

from unroll.errors import system_fault

GPU = "CUDA error"


def machine_fault(error: BaseException) -> str | None:
    """Return what happened and what to do where the machine is at fault, None where it is not."""
    message = str(error)
    if isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and "not enough memory" in message
    ):
        return "not enough memory; lower batch_size or hidden_size, or compute.workers"
    if isinstance(error, RuntimeError) and GPU in message:
        return f"the GPU failed ({message.splitlines()[0]}); run it again, or with device: cpu"
    return system_fault(error)
