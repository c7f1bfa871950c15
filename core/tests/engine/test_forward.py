from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from FlagEmbedding.engine.forward import PaddedForward, padded

PAD = 7


class Recorder:
    """A backbone that keeps what it was called with; its states are the token ids."""

    def __init__(self, dtype=torch.float32):
        self.dtype = dtype

    def __call__(self, input_ids, attention_mask):
        self.ids, self.mask = input_ids, attention_mask
        return SimpleNamespace(last_hidden_state=input_ids.unsqueeze(-1).to(self.dtype))


def test_shorter_rows_are_padded_on_the_right_and_masked():
    model = Recorder()
    hidden = PaddedForward(model, PAD, "cpu")([[1, 2, 3], [4], [5, PAD]])
    assert model.ids.tolist() == [[1, 2, 3], [4, PAD, PAD], [5, PAD, PAD]]
    assert model.mask.tolist() == [[1, 1, 1], [1, 0, 0], [1, 1, 0]]  # a pad token of the text itself counts
    assert hidden.mask.tolist() == [[True, True, True], [True, False, False], [True, True, False]]
    assert (model.ids.dtype, model.mask.dtype, hidden.mask.dtype) == (torch.int64, torch.int64, torch.bool)


def test_a_rectangle_of_ids_and_its_mask():
    ids, mask = padded([[1], [2, 3, 4], [PAD, 5]], PAD, torch.device("cpu"))
    assert ids.tolist() == [[1, PAD, PAD], [2, 3, 4], [PAD, 5, PAD]]
    assert mask.tolist() == [[True, False, False], [True, True, True], [True, True, False]]
    assert (ids.dtype, mask.dtype) == (torch.int64, torch.bool)


def test_one_row_is_not_padded():
    model = Recorder()
    PaddedForward(model, PAD, "cpu")([[1, 2]])
    assert (model.ids.tolist(), model.mask.tolist()) == ([[1, 2]], [[1, 1]])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_states_are_float32_whatever_the_model_computes_in(dtype):
    states = PaddedForward(Recorder(dtype), PAD, "cpu")([[1, 2]]).states
    assert (states.dtype, states.tolist()) == (torch.float32, [[[1.0], [2.0]]])
