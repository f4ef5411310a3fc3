import json
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from unroll.errors import DataError
from unroll.storage.files import UNFINISHED
from unroll.training.checkpoint import Checkpoint, Snapshot

KEY = "0123456789abcdef"


@pytest.fixture
def checkpoint(tmp_path):
    return Checkpoint(tmp_path / "v", 3, KEY, every=5)


def snapshot(value: float = 1.5) -> Snapshot:
    tensors = {
        "weight": torch.full((2, 3), value),
        "count": torch.tensor(7.0),
        "state": torch.arange(5, dtype=torch.uint8),
        "double": torch.full((2,), value, dtype=torch.float64),
        "half": torch.full((2, 1), value, dtype=torch.bfloat16),
    }
    return Snapshot(tensors, {"history": [{"loss": 0.1 + 0.2}], "step": 4})


def test_what_is_written_is_what_is_read(checkpoint):
    assert checkpoint.read() is None
    checkpoint.write(snapshot(0.5))
    checkpoint.write(snapshot())
    found = checkpoint.read()
    assert found.facts == snapshot().facts
    assert found.tensors.keys() == snapshot().tensors.keys()
    for name, tensor in snapshot().tensors.items():
        assert found.tensors[name].dtype == tensor.dtype
        assert torch.equal(found.tensors[name], tensor)
    assert [path.name for path in checkpoint.path.parent.iterdir()] == [checkpoint.path.name]
    checkpoint.remove()
    assert checkpoint.read() is None


def test_a_snapshot_is_due_after_every_so_many_steps(checkpoint):
    assert [step for step in range(1, 13) if checkpoint.due(step)] == [5, 10]
    assert not replace(checkpoint, every=None).due(5)


def test_every_changed_byte_is_noticed(checkpoint):
    checkpoint.write(snapshot())
    whole = checkpoint.path.read_bytes()
    for place in range(0, len(whole), 7):
        changed = bytearray(whole)
        changed[place] ^= 0x10
        checkpoint.path.write_bytes(changed)
        try:
            found = checkpoint.read()
        except DataError as error:
            assert str(checkpoint.path) in str(error)
            assert "delete it, and the training begins anew" in str(error)
        else:  # white space or the like: nothing that counts
            assert found.facts == snapshot().facts
            assert all(torch.equal(t, found.tensors[n]) for n, t in snapshot().tensors.items())


@pytest.mark.parametrize("length", [0, 1, 8, 100, -1])
def test_a_file_that_was_cut_is_noticed(checkpoint, length):
    checkpoint.write(snapshot())
    checkpoint.path.write_bytes(checkpoint.path.read_bytes()[:length])
    with pytest.raises(DataError, match="it cannot be read"):
        checkpoint.read()


def test_a_checkpoint_of_another_run_is_refused(checkpoint):
    other = replace(checkpoint, key="f" * 16)
    other.write(snapshot())
    other.path.rename(checkpoint.path)
    with pytest.raises(DataError, match="is not of this run"):
        checkpoint.read()
    save_file(load_file(checkpoint.path), checkpoint.path)  # without a header of ours
    with pytest.raises(DataError, match="is not of this run"):
        checkpoint.read()


def test_checkpoints_of_other_options_are_named_and_those_of_other_seeds_are_not(checkpoint):
    folder = checkpoint.path.parent
    folder.mkdir()
    for name in ("seed-3.aa.safetensors", "seed-30.aa.safetensors", "seed-3.txt"):
        (folder / name).touch()
    checkpoint.write(snapshot())
    assert checkpoint.others() == [folder / "seed-3.aa.safetensors"]


def test_what_a_killed_process_left_is_cleared_away(checkpoint):
    checkpoint.write(snapshot())
    left = checkpoint.path.with_name(f".{checkpoint.path.name}.4194305.{UNFINISHED}")
    left.write_text(json.dumps({}))  # no process has such a number
    checkpoint.write(snapshot())
    assert not left.exists()
