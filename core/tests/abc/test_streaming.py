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


def test_a_block_has_a_size_where_none_is_named(model, monkeypatch):
    monkeypatch.setattr("FlagEmbedding.abc.inference.embedder.BLOCK", 30)
    assert [len(block) for block in model.encode_iter(TEXTS, block_size=None)] == [30, 30, 30, 10]


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
        (np.zeros((99, 2), np.float32), "out has room for 99 texts, and there are 100"),
        (np.zeros((101, 2), np.float32), "out has room for 101 texts, and there are 100"),
        (np.zeros((0, 2), np.float32), "out has room for 0 texts, and there are 100"),
        (np.zeros((100, 3), np.float32), "out has rows of 3 numbers; the model gives 2 a text"),
        (np.zeros((100, 2), np.int64), "out must be a floating-point numpy array"),
        (np.zeros(200, np.float32), "out must be a floating-point numpy array"),
        ([[0.0, 0.0]] * 100, "out must be a floating-point numpy array"),
    ],
)
def test_an_array_that_does_not_fit_is_refused_before_a_block_is_computed(model, out, message, monkeypatch):
    computed = []
    encode = type(model).encode_single_device
    monkeypatch.setattr(
        type(model),
        "encode_single_device",
        lambda self, texts, **options: computed.extend(texts) or encode(self, texts, **options),
    )
    with pytest.raises(OptionError, match=message):
        model.encode(TEXTS, out=out)
    assert len(computed) <= 1


def test_a_model_that_gives_no_vectors_says_so_before_a_block_is_computed(model, monkeypatch):
    computed = []
    monkeypatch.setattr(
        type(model), "encode_single_device", lambda self, texts, **options: computed.extend(texts) or {"dense": None}
    )
    with pytest.raises(OptionError, match="out has rows of 2 numbers; this model gives a dict, no vectors"):
        model.encode(TEXTS, out=np.zeros((100, 2)))
    assert len(computed) == 1


@pytest.mark.parametrize(
    ("room", "message", "written"), [(50, "there are more", 30), (101, "there were only 100", 100)]
)
def test_a_number_of_texts_that_only_reading_them_tells(model, room, message, written, monkeypatch):
    monkeypatch.setattr("FlagEmbedding.abc.inference.embedder.BLOCK", 30)
    out = np.full((room, 2), -1.0)
    with pytest.raises(OptionError, match=f"out has room for {room} texts, and {message}"):
        model.encode(iter(TEXTS), out=out)
    assert out[:written, 0].tolist() == [len(text) for text in TEXTS[:written]]
    assert (out[written:] == -1).all()


def test_no_text_at_all(model):
    assert model.encode([], out=np.zeros((0, 2))).shape == (0, 2)
    assert model.encode(iter([]), out=np.zeros((0, 2))).shape == (0, 2)
    with pytest.raises(OptionError, match="out has room for 1 texts, and there were only 0"):
        model.encode(iter([]), out=np.zeros((1, 2)))


def test_one_text_needs_no_array(model):
    with pytest.raises(InputError, match="not one string"):
        model.encode("a river", out=np.zeros((1, 2)))
