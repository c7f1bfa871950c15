from __future__ import annotations

import pytest
import torch

from FlagEmbedding.engine.outputs import DenseSink


def test_rows_go_to_the_places_of_their_texts():
    sink = DenseSink(3, 2)
    sink.put([2, 0], torch.tensor([[1.0, 2.0], [3.0, 4.0]]))
    sink.put([1], torch.tensor([[5.0, 6.0]]))
    assert sink.vectors.tolist() == [[3.0, 4.0], [5.0, 6.0], [1.0, 2.0]]


def test_no_texts():
    assert DenseSink(0, 5).vectors.shape == (0, 5)


@pytest.fixture
def float64_by_default():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.usefixtures("float64_by_default")
def test_float32_whatever_the_program_chose_as_torchs_default():
    assert DenseSink(1, 2).vectors.dtype == torch.float32
