"""What may be encoded, and what comes back for it."""

from __future__ import annotations

import logging

import numpy as np
import pytest
import torch

from FlagEmbedding.errors import InputError

METHODS = ("encode", "encode_queries", "encode_corpus")

TWO = ["the river", "a stone of the garden"]


class Name(str):
    __slots__ = ()


class Series:
    def __iter__(self):
        return iter(TWO)


@pytest.fixture(scope="module")
def right(reference):
    return lambda texts: reference("bert").vectors(texts)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("as_numpy", [True, False])
def test_no_texts_give_no_rows(bert, method, as_numpy):
    rows = getattr(bert, method)([], convert_to_numpy=as_numpy)
    assert tuple(rows.shape) == (0, 32)
    assert rows.dtype == (np.float32 if as_numpy else torch.float32)


@pytest.mark.parametrize("kind", [tuple, iter, np.array, lambda _: Series(), lambda texts: map(Name, texts)])
def test_each_kind_of_list(bert, right, kind):
    assert np.abs(bert.encode(kind(TWO)) - right(TWO)).max() <= 1e-5


@pytest.mark.parametrize("kind", [Name, np.str_])
def test_each_kind_of_text(bert, right, kind):
    vector = bert.encode(kind(TWO[0]))
    assert vector.shape == (32,)
    assert np.abs(vector - right(TWO[:1])[0]).max() <= 1e-5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("texts", "shape"), [(TWO[0], (32,)), (TWO[:1], (1, 32)), (TWO, (2, 32))])
def test_shape_and_format(bert, method, texts, shape):
    array, tensor = (getattr(bert, method)(texts, convert_to_numpy=choice) for choice in (True, False))
    assert isinstance(array, np.ndarray)
    assert (array.shape, array.dtype) == (shape, np.float32)
    assert isinstance(tensor, torch.Tensor)
    assert (tuple(tensor.shape), tensor.dtype, tensor.device.type) == (shape, torch.float32, "cpu")
    assert array.tolist() == tensor.tolist()


def test_a_tensor_can_be_worked_with(bert):
    """It is neither an inference tensor, which autograd refuses, nor part of a graph."""
    tensor = bert.encode(TWO, convert_to_numpy=False)
    weight = torch.ones(32, requires_grad=True)
    (tensor @ weight).sum().backward()
    assert tensor.requires_grad is False
    assert torch.equal(weight.grad, tensor.sum(dim=0))


def test_an_array_can_be_written_to(bert):
    array = bert.encode(TWO)
    array[0] = 0
    assert array.flags.writeable
    assert array.sum(axis=1)[0] == 0


@pytest.mark.parametrize(
    "text", ["", " ", "\t\n \r", "\0", "a\0b", "👩‍🔬🏳️‍🌈", "\u200b", "\ufeffriver", "\uffff", "e\u0301"]
)
def test_odd_texts_have_vectors_too(bert, right, text):
    vectors = bert.encode([TWO[0], text])
    assert np.abs(vectors - right([TWO[0], text])).max() <= 1e-5
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() <= 1e-6


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta", "roberta"])
@pytest.mark.parametrize("text", ["x" * 1_000_000, "river " * 166_667], ids=["one word", "many"])
def test_a_million_characters(flag_model, reference, model_type, text):
    vectors = flag_model(model_type).encode([text, TWO[0]])
    assert np.abs(vectors - reference(model_type).vectors([text, TWO[0]])).max() <= 1e-5


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("texts", [None, 5, 1.5, True, b"a", {"a": "b"}, {"a"}, [["a"]], ["a", None], ["a", 5]])
def test_what_is_no_text(bert, method, texts):
    with pytest.raises(InputError, match=r"^sentences(\[\d\])? must be a string"):
        getattr(bert, method)(texts)


@pytest.mark.parametrize("method", METHODS)
def test_a_lone_surrogate(bert, method):
    with pytest.raises(InputError, match=r"^sentences\[1\] holds a lone surrogate \(U\+DCFF at character 3\)"):
        getattr(bert, method)(["fine", "bad\udcff"])


def test_how_many_texts_were_cut_is_said_once(bert, caplog):
    caplog.set_level(logging.INFO, "FlagEmbedding")
    bert.encode(["one", "one of the more", "one of the more all"], max_length=4)
    assert [record.getMessage() for record in caplog.records] == ["2 of 3 different texts were cut to 4 tokens"]
