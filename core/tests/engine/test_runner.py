from __future__ import annotations

import logging
import re
import weakref

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from FlagEmbedding.engine import room, runner
from FlagEmbedding.engine.forward import Hidden
from FlagEmbedding.engine.outputs import DenseSink
from FlagEmbedding.engine.planner import CPU_TOKENS, Budget, Plan
from FlagEmbedding.engine.room import Room
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
    return Tokens([row[:max_length] for row in ids], sum(len(row) > max_length for row in ids), max_length)


def token_sum(hidden):
    return hidden.states.sum(dim=1)


def run(texts, forward, *, device="cpu", max_length=100, batch_size=256, once=0):
    sink = DenseSink(len(texts), 1)
    engine = Engine(tokenize, forward, Room(device), once=once)
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
    different = list(dict.fromkeys(texts))
    planned = Plan([len(text) for text in different], Budget(batch_size, CPU_TOKENS))
    assert forward.batches == [
        [[ord(character) for character in different[index]] for index in batch] for batch in planned
    ]


def test_a_call_says_at_its_end_how_many_tokens_it_has_computed(forward, monkeypatch):
    said = []
    monkeypatch.setattr(Room, "computed", lambda _, tokens: said.append((len(forward.batches), tokens)))
    run(["ab", "abc", "ab", "a"] * 3, forward, batch_size=1)
    assert said == [(3, 6)]  # equal ones once


@pytest.mark.parametrize(("device", "sizes"), [("cpu", [32, 32, 32, 4]), ("cuda:1", [100])])
def test_the_budget_of_tokens_is_the_devices(forward, device, sizes):
    run([f"{index:064}" for index in range(100)], forward, device=device)
    assert [len(batch) for batch in forward.batches] == sizes


@pytest.mark.parametrize(
    ("once", "fit"),
    [(0, 2), (80, 6), (99, 21)],  # 128 // 48, 128 // (100 - 80), and 128 // (100 // 16): they are read all the same
)
def test_what_is_computed_once_leaves_room_for_more_texts(once, fit, forward, monkeypatch):
    monkeypatch.setattr(room, "CPU_TOKENS", 128 if once else 200)
    monkeypatch.setattr(room, "LANE_TOKENS", 10**9)  # no lanes
    run([f"{'a' * 96}{index:04}" for index in range(50)], forward, once=once)
    assert len(forward.batches[0]) == fit


def test_batch_size_is_an_upper_bound(forward):
    run(list("0123456789"), forward, batch_size=4)
    assert [len(batch) for batch in forward.batches] == [4, 4, 2]


def test_how_many_texts_were_cut_is_one_line(forward, caplog):
    caplog.set_level(logging.INFO, "FlagEmbedding")
    assert run(["abcd", "ab", "abc"], forward, max_length=2) == [195.0, 195.0, 195.0]
    assert [record.getMessage() for record in caplog.records] == ["2 of 3 different texts were cut to 2 tokens"]
    assert caplog.records[0].levelno == logging.INFO


def test_what_is_run_is_named_as_the_caller_names_it(forward, caplog, capfd):
    caplog.set_level(logging.INFO, "FlagEmbedding")
    engine = Engine(tokenize, forward, Room("cpu"), ("scoring", "pairs"))
    engine.run(["abcd", "ab"], token_sum, DenseSink(2, 1), max_length=3, batch_size=9, show_progress=True)
    assert [record.getMessage() for record in caplog.records] == ["1 of 2 different pairs were cut to 3 tokens"]
    assert "scoring: 100%" in capfd.readouterr().err


def test_the_line_names_the_length_that_the_tokenizer_cut_to(forward, caplog):
    """It may be another one than was asked for: a class can leave room for a prompt."""
    caplog.set_level(logging.INFO, "FlagEmbedding")
    engine = Engine(lambda texts, max_length: Tokens([[1] for _ in texts], 2, max_length - 5), forward, Room("cpu"))
    engine.run(["a", "b"], token_sum, DenseSink(2, 1), max_length=9, batch_size=9)
    assert [record.getMessage() for record in caplog.records] == ["2 of 2 different texts were cut to 4 tokens"]


class Row:
    """Any row will do that has a length."""

    def __init__(self, number, length):
        self.number, self.length = number, length

    def __len__(self):
        return self.length


def test_rows_of_any_kind_are_planned_by_their_length_and_passed_on_as_they_are():
    rows = [Row(0, 2), Row(1, 5), Row(2, 3)]
    batches, sink = [], DenseSink(3, 1)

    def forward(batch):
        batches.append([row.number for row in batch])
        return torch.tensor([[float(row.number)] for row in batch])

    engine = Engine(lambda inputs, _: Tokens([rows[index] for index in inputs], 0, 9), forward, Room("cpu"))
    engine.run([0, 1, 2], lambda out: out * 10, sink, max_length=9, batch_size=2)
    assert batches == [[1, 2], [0]]
    assert sink.vectors.tolist() == [[0.0], [10.0], [20.0]]


def test_one_string_is_not_taken_for_a_list_of_its_characters(forward):
    with pytest.raises(InputError, match=r"^one string was given where a list of texts is needed"):
        run("ab", forward)
    assert forward.batches == []


def test_no_line_when_nothing_was_cut(forward, caplog):
    caplog.set_level(logging.DEBUG, "FlagEmbedding")
    run(["ab", "abc"], forward, max_length=3)
    assert caplog.records == []


def test_a_text_without_any_token_is_refused_before_the_first_forward(forward):
    with pytest.raises(InputError, match=r"^text 2 \(''\) gives no token at all, so there is nothing to compute\.$"):
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


def test_equal_texts_are_computed_once_and_counted_each(forward, capfd):
    engine, sink = Engine(tokenize, forward, Room("cpu")), DenseSink(5, 1)
    texts = ["a", "b", "a", "a", "b"]
    engine.run(texts, token_sum, sink, max_length=9, batch_size=9, show_progress=True)
    assert sink.vectors[:, 0].tolist() == [97.0, 98.0, 97.0, 97.0, 98.0]
    assert forward.batches == [[[97], [98]]]
    assert "5/5" in capfd.readouterr().err


def test_a_long_corpus_is_tokenised_a_block_at_a_time(forward, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "FlagEmbedding")
    monkeypatch.setattr(runner, "_BLOCK", 4)
    blocks, sink = [], DenseSink(10, 1)

    def counting(texts, max_length):
        blocks.append(list(texts))
        return tokenize(texts, max_length)

    texts = [f"{index}xyz"[: 2 + index % 3] for index in range(10)]
    Engine(counting, forward, Room("cpu")).run(texts, token_sum, sink, max_length=3, batch_size=9)
    assert blocks == [texts[:4], texts[4:8], texts[8:]]
    assert sink.vectors[:, 0].tolist() == [float(sum(map(ord, text[:3]))) for text in texts]
    assert [record.getMessage() for record in caplog.records] == ["3 of 10 different texts were cut to 3 tokens"]


class SmallMemory(CountingForward):
    """Holds two rows at a time, and says that there is no more as a device would."""

    def __init__(self, error):
        super().__init__()
        self.error, self.failed = error, []

    def __call__(self, ids):
        if len(ids) > 2:
            self.failed.append(len(ids))
            raise self.error
        return super().__call__(ids)


OUT_OF_MEMORY = [
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    MemoryError(),
    RuntimeError("[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9 GB)"),
]


@pytest.mark.parametrize("error", OUT_OF_MEMORY, ids=repr)
def test_a_batch_that_does_not_fit_is_tried_in_halves_and_later_runs_remember(error, caplog):
    forward = SmallMemory(error)
    engine, texts = Engine(tokenize, forward, Room("cpu")), [chr(97 + index) * 9 for index in range(9)]
    for _ in range(2):
        sink = DenseSink(9, 1)
        engine.run(texts, token_sum, sink, max_length=9, batch_size=9)
        assert sink.vectors[:, 0].tolist() == [float(sum(map(ord, text))) for text in texts]
    assert forward.failed == [9, 4]
    assert [len(batch) for batch in forward.batches] == [2, 2, 2, 2, 1] * 2
    assert [record.levelname for record in caplog.records] == ["WARNING"] * 2
    assert "out of memory on cpu with 9 texts at a time" in caplog.records[0].getMessage()


def test_one_text_that_does_not_fit_is_the_end():
    def forward(_):
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(torch.OutOfMemoryError, match=r"^CUDA out of memory$"):
        run(["a", "b"], forward)


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    calls = []

    def forward(ids):
        calls.append(len(ids))
        raise RuntimeError("CUDA error: device-side assert triggered")

    with pytest.raises(RuntimeError, match="device-side assert"):
        run(["a", "b"], forward)
    assert calls == [2]


def test_nothing_of_the_failed_attempt_is_kept():
    alive = []

    class Tensor:
        pass

    def forward(ids):
        if len(ids) > 1:
            large = Tensor()
            alive.append(weakref.ref(large))
            raise MemoryError
        assert [reference() for reference in alive] == [None]
        return CountingForward()(ids)

    run(["a", "b"], forward)


def test_a_slow_call_is_one_line_in_the_log(monkeypatch, caplog):
    monkeypatch.setattr("FlagEmbedding.engine.runner._SLOW_S", 0.0)
    with caplog.at_level(logging.INFO):
        run(["a", "b", "a"], CountingForward())
    (line,) = [record.getMessage() for record in caplog.records if "/s" in record.getMessage()]
    assert re.fullmatch(r"encoding 3 texts on cpu: \d+\.\d s, \d+\.\d/s", line)
    monkeypatch.setattr("FlagEmbedding.engine.runner._SLOW_S", 60.0)
    caplog.clear()
    run(["a"], CountingForward())
    assert not caplog.records
