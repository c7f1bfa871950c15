"""How a model runs: packed where it gives the same, in padded batches otherwise, and what is read of it."""

from __future__ import annotations

import pytest
import torch
import transformers

from FlagEmbedding.engine import pooling, running
from FlagEmbedding.engine.forward import Hidden
from FlagEmbedding.engine.packed.attention import NotPackableError

ROWS = [[5, 9, 7], [4], [8, 8, 6, 3, 5], [9, 4, 5]]


@pytest.fixture
def model(checkpoint):
    loaded = transformers.AutoModel.from_pretrained(checkpoint("bert"), dtype=torch.float32).eval()
    loaded.register_module("pooler", None)
    return loaded


def alone(model, rows):
    with torch.no_grad():
        return [model(input_ids=torch.tensor([row])).last_hidden_state[0] for row in rows]


@pytest.mark.parametrize("read", ["first", "last", "mean"])
def test_a_packed_model_is_run_when_it_is_read(model, read):
    states = alone(model, ROWS)
    pick = {"first": lambda state: state[0], "last": lambda state: state[-1], "mean": lambda state: state.mean(dim=0)}
    expected = torch.stack([pick[read](state) for state in states])
    forward, what, taken = running.fastest(model, 0, "cpu")
    with torch.inference_mode():
        found = getattr(forward(ROWS), read)()
    assert taken
    assert what.startswith("lean packed encoder of 2 layers")
    assert (found - expected).abs().max() <= 1e-5


def test_everything_at_once_is_a_rectangle(model):
    states = alone(model, ROWS)
    forward, _, _ = running.fastest(model, 0, "cpu")
    with torch.inference_mode():
        hidden = forward(ROWS).padded()
    assert isinstance(hidden, Hidden)
    assert hidden.mask.sum(dim=1).tolist() == [len(row) for row in ROWS]
    for row, state, mask, ids, wanted in zip(ROWS, hidden.states, hidden.mask, hidden.ids, states, strict=True):
        assert ids[mask].tolist() == row
        assert (state[mask] - wanted).abs().max() <= 1e-5


def test_a_model_that_cannot_be_packed_runs_in_padded_batches_and_says_why(model, monkeypatch):
    def refuse(*_):
        raise NotPackableError("its attention is its own")

    monkeypatch.setattr(running, "pack", refuse)
    expected = alone(model, ROWS)
    forward, what, taken = running.fastest(model, 0, "cpu")
    assert (what, taken) == ("padded batches (its attention is its own)", False)
    with torch.no_grad():
        assert (forward(ROWS).first() - torch.stack([state[0] for state in expected])).abs().max() <= 1e-5


class Vectors:
    """Says what was read of it."""

    def __init__(self):
        self.read = []
        self.hidden = Hidden(torch.tensor([[[1.0], [4.0]]]), torch.tensor([[True, True]]), torch.tensor([[7, 8]]))

    def __getattr__(self, name):
        self.read.append(name)
        return getattr(self.hidden, name)


@pytest.mark.parametrize(
    ("function", "read", "expected"),
    [(pooling.cls, "first", 1.0), (pooling.last_token, "last", 4.0), (pooling.mean, "mean", 2.5)],
)
def test_the_well_known_poolings_read_what_they_need(function, read, expected):
    vectors = Vectors()
    assert running.pooled(function, vectors).item() == expected
    assert vectors.read == [read]


def test_any_other_pooling_is_given_rectangles():
    vectors = Vectors()
    assert running.pooled(lambda states, mask: (states * mask.unsqueeze(-1)).amax(dim=1), vectors).item() == 4.0
    assert vectors.read == ["padded"]
