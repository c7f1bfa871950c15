from __future__ import annotations

import logging

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from FlagEmbedding.engine.forward import Hidden
from FlagEmbedding.engine.outputs import DenseSink
from FlagEmbedding.engine.planner import CPU_TOKENS, Budget, plan
from FlagEmbedding.engine.runner import Engine
from FlagEmbedding.engine.tokenizing import Tokens
from FlagEmbedding.errors import InputError


class CountingForward:
    """Keeps the batches it was called with; the only state of a token is its id."""

    def __init__(self):
        self.batches = []

    def __call__(self, ids):
        self.batches.append([list(row) for row in ids])
        width = max(map(len, ids))
        padded = [[*row, *[0] * (width - len(row))] for row in ids]
        rows = torch.tensor(padded)
        return Hidden(rows.float().unsqueeze(-1), rows > 0, rows)


def tokenize(texts, max_length):
    """``"ab"`` is two tokens: the letters' code points."""
    ids = [[ord(character) for character in text] for text in texts]
    return Tokens([row[:max_length] for row in ids], sum(len(row) > max_length for row in ids))


def token_sum(hidden):
    return hidden.states.sum(dim=1)


def run(texts, forward, *, device="cpu", max_length=100, batch_size=256):
    sink = DenseSink(len(texts), 1)
    engine = Engine(tokenize, forward, device)
    engine.run(texts, token_sum, sink, max_length=max_length, batch_size=batch_size)
    return sink.vectors[:, 0].tolist()


@pytest.fixture
def forward():
    return CountingForward()


def test_one_text_costs_one_forward(forward):
    assert run(["ab"], forward) == [195.0]
    assert forward.batches == [[[97, 98]]]


def test_no_text_costs_none(forward):
    assert run([], forward) == []
    assert forward.batches == []


@given(st.lists(st.text("abc", min_size=1, max_size=40), max_size=30), st.integers(1, 12))
def test_one_forward_for_each_planned_batch_and_every_row_in_its_place(texts, batch_size):
    forward = CountingForward()
    assert run(texts, forward, batch_size=batch_size) == [float(sum(map(ord, text))) for text in texts]
    planned = plan([len(text) for text in texts], Budget(batch_size, CPU_TOKENS))
    assert forward.batches == [[[ord(character) for character in texts[index]] for index in batch] for batch in planned]


@pytest.mark.parametrize(("device", "sizes"), [("cpu", [32, 32, 32, 4]), ("cuda:1", [100])])
def test_the_budget_of_tokens_is_the_devices(forward, device, sizes):
    run(["x" * 64] * 100, forward, device=device)
    assert [len(batch) for batch in forward.batches] == sizes


def test_batch_size_is_an_upper_bound(forward):
    run(["x"] * 10, forward, batch_size=4)
    assert [len(batch) for batch in forward.batches] == [4, 4, 2]


def test_how_many_texts_were_cut_is_one_line(forward, caplog):
    caplog.set_level(logging.INFO, "FlagEmbedding")
    assert run(["abcd", "ab", "abc"], forward, max_length=2) == [195.0, 195.0, 195.0]
    assert [record.getMessage() for record in caplog.records] == ["2 of 3 texts were cut to 2 tokens"]
    assert caplog.records[0].levelno == logging.INFO


def test_no_line_when_nothing_was_cut(forward, caplog):
    caplog.set_level(logging.DEBUG, "FlagEmbedding")
    run(["ab", "abc"], forward, max_length=3)
    assert caplog.records == []


def test_a_text_without_any_token_is_refused_before_the_first_forward(forward):
    with pytest.raises(InputError, match=r"^text 2 \(''\) gives no token at all, so it has no vector\.$"):
        run(["a", "b", "", "c", ""], forward)
    assert forward.batches == []


def test_an_error_of_the_model_comes_out_as_it_is_after_one_attempt():
    calls = []

    def broken(ids):
        calls.append(len(ids))
        raise RuntimeError("the model's own words")

    with pytest.raises(RuntimeError, match=r"^the model's own words$"):
        run(["a", "b"], broken)
    assert calls == [2]


def test_no_gradients_are_kept():
    modes = []

    def forward(ids):
        modes.append(torch.is_inference_mode_enabled())
        return CountingForward()(ids)

    run(["a"], forward)
    assert modes == [True]
