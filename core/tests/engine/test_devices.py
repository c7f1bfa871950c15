from __future__ import annotations

import pytest
import torch

from FlagEmbedding.engine.devices import target_devices
from FlagEmbedding.errors import DeviceError


@pytest.fixture
def two_gpus(no_accelerator, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (None, ["cuda:0", "cuda:1"]),
        ("cpu", ["cpu"]),
        ("cpu:0", ["cpu"]),
        ("cuda", ["cuda"]),
        ("cuda:0", ["cuda:0"]),
        ("cuda:1", ["cuda:1"]),
        (0, ["cuda:0"]),
        (1, ["cuda:1"]),
        (torch.device("cpu"), ["cpu"]),
        (torch.device("cuda", 1), ["cuda:1"]),
        ([0, "cuda:1"], ["cuda:0", "cuda:1"]),
        (["cuda:1", "cpu", 0], ["cuda:1", "cpu", "cuda:0"]),
        (("cpu",), ["cpu"]),
        ((index for index in (1, 0)), ["cuda:1", "cuda:0"]),
    ],
)
def test_each_way_to_name_devices(devices, expected):
    assert target_devices(devices) == expected


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize(
    ("devices", "expected"), [(None, ["cpu"]), ("cpu", ["cpu"]), (["cpu", torch.device("cpu")], ["cpu", "cpu"])]
)
def test_without_an_accelerator(devices, expected):
    assert target_devices(devices) == expected


PRESENT = " This machine has: cpu, cuda:0, cuda:1."


@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize(
    ("devices", "message"),
    [
        ([], "devices is an empty list." + PRESENT + " None stands for all of them."),
        ("cuda:2", "there is no device 'cuda:2' on this machine." + PRESENT),
        (2, "there is no device '2' on this machine." + PRESENT),
        (torch.device("cuda", 7), "there is no device 'cuda:7' on this machine." + PRESENT),
        (["cpu", "cuda:2"], "there is no device 'cuda:2' on this machine." + PRESENT),
        ("meta", "there is no device 'meta' on this machine." + PRESENT),
        (True, "True (bool) is no device." + PRESENT),
        ([False], "False (bool) is no device." + PRESENT),
        ([None], "None (NoneType) is no device." + PRESENT),
        ([[0]], "[0] (list) is no device." + PRESENT),
        ([1.0], "1.0 (float) is no device." + PRESENT),
        (1.5, "devices=1.5 is neither a device nor a list of devices." + PRESENT),
        ("invalid:0", "'invalid:0' is no device that torch knows." + PRESENT),
        (["cpu", "invalid:0"], "'invalid:0' is no device that torch knows." + PRESENT),
        ("", "'' is no device that torch knows." + PRESENT),
        ("cuda:x", "'cuda:x' is no device that torch knows." + PRESENT),
    ],
)
def test_what_is_no_device_here(devices, message):
    with pytest.raises(DeviceError) as caught:
        target_devices(devices)
    assert str(caught.value) == message
    assert isinstance(caught.value, RuntimeError)


@pytest.mark.filterwarnings("ignore:'mkldnn':UserWarning")
@pytest.mark.usefixtures("two_gpus")
@pytest.mark.parametrize("devices", [-1, [-2], "mkldnn", "opengl", "hpu:0", b"cuda", object()])
def test_what_torch_has_a_word_for_and_the_machine_no_device(devices):
    with pytest.raises(DeviceError):
        target_devices(devices)


@pytest.mark.usefixtures("no_accelerator")
@pytest.mark.parametrize("devices", ["cuda", "cuda:0", 0, [0], torch.device("cuda")])
def test_no_gpu(devices):
    with pytest.raises(DeviceError, match=r"there is no device '(cuda|cuda:0|0)' on this machine\. This .* has: cpu\."):
        target_devices(devices)
