from __future__ import annotations

import pytest
import torch
from torch import nn

from FlagEmbedding.engine.packed import encoder, loading, probe
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.packed.encoder import LeanEncoder
from FlagEmbedding.engine.packed.linears import PrepackedLinear
from FlagEmbedding.engine.packed.loading import pack
from FlagEmbedding.engine.packed.stock import StockBody


@pytest.fixture
def deberta(load):
    return load("deberta-v2")


def test_a_model_outside_the_interface_is_refused_with_the_reason(deberta):
    with pytest.raises(NotPackableError, match="DebertaV2Model is outside transformers' interface"):
        pack(deberta)


@pytest.mark.parametrize("kind", ["bert", "mistral"])
def test_a_refused_model_is_as_it_was(kind, load, texts, alone, monkeypatch):
    monkeypatch.setattr(loading, "LeanEncoder", refuse)
    monkeypatch.setattr("FlagEmbedding.engine.packed.linears._is_faster", lambda *_: True)
    monkeypatch.setattr("FlagEmbedding.engine.packed.linears._faster", {})
    monkeypatch.setattr(StockBody, "__call__", broken)
    model, rows = load(kind), texts(3, 9)
    modules = {name: type(module) for name, module in model.named_modules()}
    with pytest.raises(NotPackableError, match="IndexError: broken"):
        pack(model)
    assert {name: type(module) for name, module in model.named_modules()} == modules
    for one, other in zip(alone(model, rows), alone(load(kind), rows), strict=True):
        assert torch.equal(one, other)


def refuse(_):
    raise NotPackableError("no")


def broken(*_):
    raise IndexError("broken")


def test_a_model_that_says_something_else_packed_is_refused(load, monkeypatch):
    call = StockBody.__call__
    monkeypatch.setattr(StockBody, "__call__", lambda self, *args: call(self, *args) + torch.arange(32) * 1e-3)
    with pytest.raises(NotPackableError, match=r"packed texts differ by \d\.\de-\d\d from one text at a time"):
        pack(load("mistral"))


def test_a_stack_that_only_looks_like_berts_runs_as_it_is(load, texts, alone):
    model = load("bert", is_decoder=True)  # causal: the same modules, another model
    rows = texts(5, 9)
    wanted = alone(model, rows)
    forward = pack(model)
    assert isinstance(forward.body, StockBody)
    for one, other in zip(forward(rows).split(), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_wrong_rows_of_the_last_layer_are_found(load, monkeypatch):
    monkeypatch.setattr(encoder, "attend_rows", lambda query, *_, **__: query)
    assert isinstance(pack(load("bert")).body, StockBody)


def test_another_activation_runs_as_it_is(load):
    assert isinstance(pack(load("bert", hidden_act="relu")).body, StockBody)
    with pytest.raises(NotPackableError, match="no exact GELU"):
        LeanEncoder(load("bert", hidden_act="gelu_new"))


def test_a_probe_reaches_over_the_edge_of_a_narrow_window(load):
    assert max(map(len, probe.rows(load("mistral", sliding_window=20)))) > 20
    assert max(map(len, probe.rows(load("mistral", sliding_window=4096)))) < 20


def test_a_probe_holds_no_padding(load):
    model = load("roberta")
    assert all(model.config.pad_token_id not in row for row in probe.rows(model))


@pytest.mark.parametrize(
    ("packed", "dtype", "steps"),
    [(False, torch.float32, (1, 1, 1)), (True, torch.float32, (1, 16, 32)), (True, torch.bfloat16, (1, 16, 64))],
)
def test_onednn_gets_few_different_sizes(packed, dtype, steps):
    class Body:
        uses_onednn = packed

    Body.dtype = dtype
    assert tuple(map(loading._step(Body()), (12, 300, 2000))) == steps


def test_prepacked_linears_and_a_filler_change_nothing(load, texts, alone, monkeypatch):
    monkeypatch.setattr("FlagEmbedding.engine.packed.linears._is_faster", lambda *_: True)
    monkeypatch.setattr("FlagEmbedding.engine.packed.linears._faster", {})
    rows = texts(5, 60, 1, 5)  # 71 tokens: 9 more make up a step
    for kind in ("bert", "mpnet", "modernbert", "qwen3"):
        forward = pack(load(kind))
        assert "prepacked linears" in str(forward.body)
        for one, other in zip(forward(rows).split(), alone(load(kind), rows), strict=True):
            torch.testing.assert_close(one, other, rtol=0, atol=1e-4)


def test_a_lean_encoder_keeps_no_layer_alive(load):
    model = load("mpnet")
    lean = LeanEncoder(model, PrepackedLinear)
    held = [value for value in vars(lean).values() if isinstance(value, nn.Module)]
    bound = lean._position_bias.__self__
    assert held == []
    assert not any(isinstance(module, nn.Linear) for module in bound.modules())
