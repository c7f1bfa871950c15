from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from FlagEmbedding.engine.packed import linears
from FlagEmbedding.engine.packed.linears import PlainLinear, PrepackedLinear, best_linear
from FlagEmbedding.engine.packed.modules import LinearModule, pack_linears, unpack_linears

needs_onednn = pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="this torch has no oneDNN")


def numbers(*shape, dtype=torch.float32):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(len(shape) + shape[0])).to(dtype)


@pytest.fixture(autouse=True)
def no_memory(monkeypatch):
    monkeypatch.setattr(linears, "_faster", {})


@needs_onednn
@pytest.mark.parametrize("rows", [1, 12, 130])
@pytest.mark.parametrize("activation", ["none", "gelu"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("residual", [True, False])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.bfloat16, 0.1)])
def test_prepacked_is_plain(rows, activation, bias, residual, dtype, tolerance):
    weight, offset = numbers(24, 16, dtype=dtype), numbers(24, dtype=dtype) if bias else None
    given, added = numbers(rows, 16, dtype=dtype), numbers(rows, 24, dtype=dtype) if residual else None
    wanted = torch.nn.functional.linear(given.double(), weight.double(), None if offset is None else offset.double())
    wanted = torch.nn.functional.gelu(wanted) if activation == "gelu" else wanted
    wanted = wanted if added is None else wanted + added.double()
    for kind in (PlainLinear, PrepackedLinear):
        found = kind(weight, offset, activation)(given, added)
        assert found.dtype == dtype
        torch.testing.assert_close(found.double(), wanted, rtol=0, atol=tolerance)
    if added is not None:
        assert torch.equal(added, numbers(rows, 24, dtype=dtype))


@needs_onednn
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_weight_can_be_had_back(dtype):
    weight = numbers(48, 32, dtype=dtype)
    assert torch.equal(PrepackedLinear(weight, None).weight, weight)


@needs_onednn
@pytest.mark.parametrize(("faster", "kind"), [(True, PrepackedLinear), (False, PlainLinear)])
def test_the_faster_one_is_taken_and_remembered(faster, kind, monkeypatch):
    asked = []
    monkeypatch.setattr(linears, "_is_faster", lambda *_: asked.append(1) or faster)
    assert isinstance(best_linear(numbers(24, 16), numbers(24)), kind)
    assert isinstance(best_linear(numbers(24, 16) + 1, numbers(24)), kind)
    assert len(asked) == 1
    assert isinstance(best_linear(numbers(16, 16), numbers(16)), kind)
    assert len(asked) == 2


@needs_onednn
@pytest.mark.parametrize(("seconds", "faster"), [(0.5, True), (2.0, False)])
def test_faster_means_less_time_than_the_plain_one(seconds, faster, monkeypatch):
    plain, packed = PlainLinear(numbers(24, 16), None), PrepackedLinear(numbers(24, 16), None)
    monkeypatch.setattr(linears, "_seconds", lambda call, _: seconds if call is packed else 1.0)
    assert linears._is_faster(packed, plain, numbers(24, 16)) is faster


@needs_onednn
def test_a_wrong_one_is_not_taken_however_fast(monkeypatch):
    monkeypatch.setattr(linears, "_is_faster", lambda *_: True)
    monkeypatch.setattr(PrepackedLinear, "__call__", lambda self, rows, _=None: torch.zeros(len(rows), 24))
    assert isinstance(best_linear(numbers(24, 16), None), PlainLinear)


def test_operators_that_are_gone_leave_the_plain_one(monkeypatch):
    monkeypatch.setattr(PrepackedLinear, "__init__", lambda *_: torch.ops.mkldnn.there_is_none)
    assert isinstance(best_linear(numbers(24, 16), None), PlainLinear)


def test_other_devices_and_precisions_have_the_plain_one():
    assert isinstance(best_linear(numbers(24, 16).to("meta"), None), PlainLinear)
    assert isinstance(best_linear(numbers(24, 16, dtype=torch.float64), None), PlainLinear)


@needs_onednn
def test_modules_are_replaced_and_put_back(monkeypatch):
    monkeypatch.setattr(linears, "_is_faster", lambda *_: True)
    model = nn.Sequential(nn.Linear(16, 24), nn.GELU(), nn.Sequential(nn.Linear(24, 16, bias=False))).eval()
    before, rows = copy.deepcopy(model.state_dict()), numbers(2, 5, 16)
    wanted = model(rows)
    with torch.inference_mode():
        assert pack_linears(model) == 2
        assert isinstance(model[0], LinearModule)
        torch.testing.assert_close(model(rows), wanted, rtol=0, atol=1e-5)
        assert not list(model.parameters())
        unpack_linears(model)
    after = model.state_dict()
    assert after.keys() == before.keys()
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_subclasses_of_linear_stay(monkeypatch):
    class Other(nn.Linear):
        pass

    monkeypatch.setattr(linears, "_is_faster", lambda *_: True)
    assert pack_linears(nn.Sequential(Other(16, 24))) == 0
