"""The forward: a batch of token ids in, the vectors of its tokens out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor


@dataclass(frozen=True)
class Hidden:
    """The token vectors of one batch.

    Attributes:
        states: float32 ``[texts, tokens, width]``.
        mask: bool ``[texts, tokens]``, True where there is a token.
        ids: int64 ``[texts, tokens]``, the tokens themselves; anything where there is none.
    """

    states: Tensor
    mask: Tensor
    ids: Tensor


class Forward(Protocol):
    """What the engine needs of a model; the seam for other ways to run one."""

    def __call__(self, ids: Sequence[Sequence[int]]) -> Hidden:
        """Return the token vectors of ``ids``, one row each."""


class PaddedForward:
    """A transformers backbone, run on rectangles: shorter rows are padded on the right and masked."""

    def __init__(self, model: torch.nn.Module, pad_id: int, device: str) -> None:
        self._model = model
        self._pad_id = pad_id
        self._device = torch.device(device)

    def __call__(self, ids: Sequence[Sequence[int]]) -> Hidden:
        """Return float32 states, whatever the model computes in."""
        width = max(map(len, ids))
        rows = torch.tensor([[*row, *[self._pad_id] * (width - len(row))] for row in ids]).to(self._device)
        lengths = torch.tensor([len(row) for row in ids], device=self._device)
        mask = torch.arange(width, device=self._device) < lengths.unsqueeze(1)
        output = self._model(input_ids=rows, attention_mask=mask.long())
        return Hidden(output.last_hidden_state.float(), mask, rows)
