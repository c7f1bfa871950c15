"""Fewer bits a number: sentence-transformers' own function is the reference."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sentence_transformers import quantize_embeddings

from FlagEmbedding.abc.inference.quantization import PRECISIONS, check_precision, quantized
from FlagEmbedding.errors import InputError, OptionError

VECTORS = np.random.default_rng(3).normal(size=(40, 24)).astype(np.float32)
VECTORS[:, 5] = 0.25  # a component without a range
VECTORS[3, 7] = 0.0

SHORT = PRECISIONS[1:]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("precision", SHORT)
@pytest.mark.parametrize("width", [24, 13])
def test_the_same_numbers(precision, width):
    found, expected = quantized(VECTORS[:, :width], precision), quantize_embeddings(VECTORS[:, :width], precision)
    assert found.dtype == expected.dtype
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("precision", SHORT)
def test_a_tensor_of_a_tensor(precision):
    found = quantized(torch.tensor(VECTORS), precision)
    assert isinstance(found, torch.Tensor)
    assert np.array_equal(found.numpy(), quantized(VECTORS, precision))


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
def test_one_vector_has_bits(precision):
    assert np.array_equal(quantized(VECTORS[:1], precision), quantize_embeddings(VECTORS[:1], precision))


@pytest.mark.parametrize("precision", ["int8", "uint8"])
def test_one_vector_has_no_range(precision):
    with pytest.raises(InputError, match=rf"^precision='{precision}' takes its steps from the vectors of the call"):
        quantized(VECTORS[:1], precision)
    assert quantized(VECTORS[:0], precision).dtype == precision


def test_names():
    assert [check_precision(name) for name in (None, *PRECISIONS)] == ["float32", *PRECISIONS]
    with pytest.raises(OptionError, match=r"'ubinary', not 'float16'\.$"):
        check_precision("float16")
