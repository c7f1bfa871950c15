"""Any number of texts through a bounded memory, and vectors into an array that is there already."""

from __future__ import annotations

import numpy as np
import pytest
from worker_embedder import LengthEmbedder

from FlagEmbedding.errors import InputError, OptionError

TEXTS = ["x" * (index % 13) for index in range(100)]


@pytest.fixture
def model():
    return LengthEmbedder("none", devices="cpu", passage_instruction_for_retrieval="ab")


def counted(texts, read):
    for text in texts:
        read.append(text)
        yield text


def test_blocks_come_in_order_and_no_text_is_read_ahead(model):
    read, lengths = [], []
    for number, block in enumerate(model.encode_iter(counted(TEXTS, read), block_size=30), 1):
        lengths.extend(block[:, 0])
        assert len(read) == min(30 * number, 100)
    assert lengths == [len(text) + 2 for text in TEXTS]  # with the passage's instruction


def test_nothing_gives_no_block(model):
    assert list(model.encode_iter([])) == []


def test_a_fault_is_found_where_it_is(model):
    blocks = model.encode_iter([*TEXTS, None], block_size=30)
    with pytest.raises(InputError, match=r"corpus\[100\] must be a string, not None"):
        list(blocks)
    with pytest.raises(InputError, match="not one string"):
        next(model.encode_iter("a river"))
    with pytest.raises(InputError, match="corpus must be a string or a list of strings, not int"):
        next(model.encode_iter(7))
    with pytest.raises(OptionError, match="block_size must be a positive number"):
        next(model.encode_iter(TEXTS, block_size=0))


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
def test_vectors_go_into_the_array_that_is_given(model, dtype, tmp_path, monkeypatch):
    monkeypatch.setattr("FlagEmbedding.abc.inference.embedder.BLOCK", 30)
    out = np.memmap(tmp_path / "vectors", dtype, "w+", shape=(100, 2))
    assert model.encode(iter(TEXTS), out=out) is out
    assert out[:, 0].tolist() == list(map(len, TEXTS))
    model.encode_corpus(TEXTS, out=out)
    assert out[:, 0].tolist() == [len(text) + 2 for text in TEXTS]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        (np.zeros((99, 2), np.float32), "out has room for 99 texts, and there are more"),
        (np.zeros((101, 2), np.float32), "out has room for 101 texts, and there were only 100"),
        (np.zeros((100, 3), np.float32), "out has rows of 3 numbers; the model gives 2 a text"),
        (np.zeros((100, 2), np.int64), "out must be a floating-point numpy array"),
        (np.zeros(200, np.float32), "out must be a floating-point numpy array"),
        ([[0.0, 0.0]] * 100, "out must be a floating-point numpy array"),
    ],
)
def test_an_array_that_does_not_fit_is_refused(model, out, message):
    with pytest.raises(OptionError, match=message):
        model.encode(TEXTS, out=out)


def test_one_text_needs_no_array(model):
    with pytest.raises(InputError, match="not one string"):
        model.encode("a river", out=np.zeros((1, 2)))
