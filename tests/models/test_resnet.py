"""Pretrained encoders: the nets of torchvision's files, and how such files are read."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.toys import array
from unroll.errors import DataError
from unroll.models.resnet import DEVIATION, MEAN, NETS, Block, ResNet, numbers_of, read_weights

# Of torchvision's nets, less the affine layer of 1,000 classes.
PARAMETERS = {
    "resnet18": 11_689_512 - 513_000,
    "resnet34": 21_797_672 - 513_000,
    "resnet50": 25_557_032 - 2_049_000,
    "resnet101": 44_549_160 - 2_049_000,
    "resnet152": 60_192_808 - 2_049_000,
}


@pytest.mark.parametrize("name", NETS)
def test_nets_are_as_large_as_those_that_others_train(name):
    with torch.device("meta"):
        net = ResNet(name)
    assert sum(p.numel() for p in net.parameters()) == PARAMETERS[name]
    assert net.channels == (2048 if NETS[name].deep else 512)


def test_names_are_those_of_the_files():
    with torch.device("meta"):
        plain, deep = set(ResNet("resnet18").state_dict()), set(ResNet("resnet50").state_dict())
    both = {"conv1.weight", "bn1.running_var", "layer1.0.conv2.weight", "layer4.1.bn2.bias"}
    assert both | {"layer2.0.downsample.0.weight", "layer2.0.downsample.1.running_mean"} <= plain
    assert both | {"layer1.0.downsample.0.weight", "layer3.5.conv3.weight"} <= deep
    assert not {"layer1.0.downsample.0.weight", "layer1.0.conv3.weight"} & plain


def lively(module: nn.Module, seed: int = 0) -> nn.Module:
    """Give norms something to do, as training would."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for norm in module.modules():
            if isinstance(norm, nn.BatchNorm2d):
                for tensor in (norm.running_mean, norm.bias):
                    tensor.normal_(generator=generator)
                for tensor in (norm.running_var, norm.weight):
                    tensor.uniform_(0.5, 2, generator=generator)
    return module.eval()


def convolved(x: np.ndarray, layer: nn.Conv2d) -> np.ndarray:
    """Over x (C, S, S), with as many zeros around it as keep its size."""
    (side, _), (step, _), weight = layer.kernel_size, layer.stride, array(layer.weight)
    padded = np.pad(x, ((0, 0), (side // 2,) * 2, (side // 2,) * 2))
    windows = np.lib.stride_tricks.sliding_window_view(padded, (side, side), axis=(1, 2))
    return np.einsum("chwij,ocij->ohw", windows[:, ::step, ::step], weight)


def normed(x: np.ndarray, norm: nn.BatchNorm2d) -> np.ndarray:
    mean, variance, scale, shift = (
        array(of)[:, None, None]
        for of in (norm.running_mean, norm.running_var, norm.weight, norm.bias)
    )
    return (x - mean) / np.sqrt(variance + 1e-5) * scale + shift


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize(("before", "stride"), [(8, 1), (8, 2), (32, 1)])
def test_a_block_adds_its_shortcut(before, stride, deep):
    torch.manual_seed(0)
    block = lively(Block(before, 8, stride, deep).double())
    x = np.random.default_rng(0).normal(size=(before, 5, 5))
    widths = [8, 8, 32] if deep else [8, 8]
    found = x
    for i, width in enumerate(widths, 1):
        found = normed(convolved(found, block.get_submodule(f"conv{i}")),
                       block.get_submodule(f"bn{i}"))  # fmt: skip
        assert found.shape[0] == width
        found = found if i == len(widths) else found.clip(0)
    as_it_is = stride == 1 and before == widths[-1]
    shortcut = x if as_it_is else normed(convolved(x, block.downsample[0]), block.downsample[1])
    expected = (found + shortcut).clip(0)
    made = array(block(torch.from_numpy(x)[None]))[0]
    np.testing.assert_allclose(made, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize(("size", "side"), [(16, 1), (32, 1), (33, 2), (64, 2), (100, 4)])
def test_a_feature_map_is_a_thirty_second_of_the_picture(size, side):
    pixels = torch.zeros(2, 3, size, size, dtype=torch.uint8)
    assert ResNet("resnet18")(pixels).shape == (2, 512, side, side)


def test_bytes_are_brought_to_what_the_nets_were_trained_to_see():
    net, seen = ResNet("resnet18").double(), []
    net.conv1.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    net(torch.tensor([0, 255, 51], dtype=torch.uint8)[None, :, None, None].expand(1, 3, 8, 8))
    shares = (0.0, 1.0, 0.2)
    for channel, (share, mean, by) in enumerate(zip(shares, MEAN, DEVIATION, strict=True)):
        expected = torch.full((8, 8), (share - mean) / by, dtype=torch.float64)
        torch.testing.assert_close(seen[0][0, channel], expected, rtol=1e-6, atol=1e-6)


def test_nothing_of_it_is_trained_and_norms_stay_as_they_are():
    net = lively(ResNet("resnet18"))
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    net.train()
    with torch.no_grad():
        net(torch.randint(0, 256, (4, 3, 32, 32), dtype=torch.uint8))
    assert not any(p.requires_grad for p in net.parameters())
    assert not any(module.training for module in net.modules())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


# Files of weights


def as_others_write(net: ResNet, path: Path, **changes: object) -> Path:
    """Write a file as torchvision's are: with the last layer, and counts of batches."""
    state = {**net.state_dict(), "fc.weight": torch.zeros(10, 512), "fc.bias": torch.zeros(10)}
    torch.save({name: of for name, of in {**state, **changes}.items() if of is not None}, path)
    return path


@pytest.mark.parametrize("name", ["resnet18", "resnet34"])
def test_a_file_says_which_net_it_is_of_and_is_taken(name, tmp_path):
    torch.manual_seed(1)
    taught = lively(ResNet(name))
    found, weights = read_weights(as_others_write(taught, tmp_path / "a.pth"))
    assert found == name
    assert weights.dtype == np.uint8
    net = ResNet(name)
    net.take(weights)
    for key, tensor in taught.state_dict().items():
        assert torch.equal(net.state_dict()[key], tensor), key


def test_the_order_of_a_file_and_its_precision_do_not_matter(tmp_path):
    taught = ResNet("resnet18")
    state = taught.state_dict()
    torch.save({name: state[name].half() for name in reversed(state)}, tmp_path / "a.pth")
    _, weights = read_weights(tmp_path / "a.pth")
    np.testing.assert_array_equal(weights, numbers_of(taught.half().state_dict()))


def test_weights_of_another_net_are_not_taken():
    with pytest.raises(DataError, match="the weights of the pretrained encoder are those of anoth"):
        ResNet("resnet18").take(numbers_of(ResNet("resnet34").state_dict()))


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"conv1.weight": None}, "holds none of these nets: resnet18, resnet34, resnet50, resnet1"),
        ({"layer5.0.conv1.weight": torch.zeros(1)}, "holds none of these nets"),
        ({"bn1.bias": "a text"}, "holds none of these nets"),
        ({"bn1.bias": torch.zeros(3)}, r"bn1.bias is not of the shape \(64,\)"),
        ({"bn1.bias": torch.zeros(64, dtype=torch.long)}, "bn1.bias is not of the shape"),
        ({"bn1.bias": torch.full((64,), torch.inf)}, "some of its weights are no finite numbers"),
    ],
    ids=str,
)
def test_a_file_of_something_else_is_refused(changes, fault, tmp_path):
    path = as_others_write(ResNet("resnet18"), tmp_path / "a.pth", **changes)
    with pytest.raises(DataError, match=fault):
        read_weights(path)


class Harmful:
    def __reduce__(self):
        return os.mkdir, ("harmed",)


def test_what_is_no_file_of_weights_is_refused_and_nothing_of_it_is_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.pth"
    with pytest.raises(DataError, match=r"a\.pth does not exist"):
        read_weights(path)
    whole = as_others_write(ResNet("resnet18"), tmp_path / "b.pth").read_bytes()
    torch.save([1, 2], tmp_path / "c.pth")
    for content in (b"", b"a text", whole[:1000], whole[:-1000], (tmp_path / "c.pth").read_bytes()):
        path.write_bytes(content)
        with pytest.raises(DataError, match=r"a\.pth holds (no weights of PyTorch|none of these)"):
            read_weights(path)
    torch.save({"conv1.weight": Harmful()}, path)
    with pytest.raises(DataError, match="holds no weights of PyTorch"):
        read_weights(path)
    path.unlink()
    path.mkdir()
    with pytest.raises(DataError, match="holds no weights of PyTorch"):
        read_weights(path)
    assert not Path("harmed").exists()
