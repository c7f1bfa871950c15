"""The forward: a batch of token ids in, the vectors of its tokens out."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from FlagEmbedding.engine import pooling
from FlagEmbedding.engine.explaining import known_tokens
from FlagEmbedding.engine.rotary import changes_with_length


class TokenVectors(Protocol):
    """The token vectors of one batch, to be read by text: float32, one row a text, in the order of the rows.

    A forward may compute no more than what is read, so a head reads once; :meth:`padded` is everything.
    """

    def first(self) -> Tensor:
        """Return ``[texts, width]``: each text's first token."""

    def last(self) -> Tensor:
        """Return ``[texts, width]``: each text's last token."""

    def mean(self) -> Tensor:
        """Return ``[texts, width]``: the mean over each text's tokens."""

    def padded(self) -> Hidden:
        """Return everything, as rectangles."""


@dataclass(frozen=True)
class Hidden:
    """The token vectors of one batch as rectangles: :class:`TokenVectors` in the form that pooling functions take.

    Attributes:
        states: float32 ``[texts, tokens, width]``.
        mask: bool ``[texts, tokens]``, True where there is a token.
        ids: int64 ``[texts, tokens]``, the tokens themselves; anything where there is none.
    """

    states: Tensor
    mask: Tensor
    ids: Tensor

    def first(self) -> Tensor:
        """Return each text's first token, wherever the padding is."""
        return pooling.cls(self.states, self.mask)

    def last(self) -> Tensor:
        """Return each text's last token, wherever the padding is."""
        return pooling.last_token(self.states, self.mask)

    def mean(self) -> Tensor:
        """Return the mean over each text's tokens, padding left out."""
        return pooling.mean(self.states, self.mask)

    def padded(self) -> Hidden:
        """Return itself."""
        return self


Row_contra = TypeVar("Row_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)


class Forward(Protocol[Row_contra, Out_co]):
    """What the engine needs of a model: rows of token ids in, something of the batch out. The seam for other ways."""

    def __call__(self, rows: Sequence[Row_contra], /) -> Out_co:
        """Return what the head reads: :class:`TokenVectors` of most models."""


def padded(rows: Sequence[Sequence[int]], pad_id: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Return a rectangle of ids, int64 ``[rows, tokens]``, padded on the right, and its mask (bool, True: a token)."""
    width = max(map(len, rows))
    ids = torch.tensor([[*row, *[pad_id] * (width - len(row))] for row in rows]).to(device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, torch.arange(width, device=device) < lengths.unsqueeze(1)


class PaddedForward:
    """A transformers backbone, run on rectangles: shorter rows are padded on the right and masked."""

    def __init__(self, model: torch.nn.Module, pad_id: int, device: str) -> None:
        self._model = model
        self._pad_id = pad_id
        self._device = torch.device(device)
        config = getattr(model, "config", None)
        self._source = str(getattr(config, "name_or_path", ""))
        self._alone = threading.Lock() if config is not None and changes_with_length(config) else None

    def __call__(self, ids: Sequence[Sequence[int]], /) -> Hidden:
        """Return float32 states, whatever the model computes in."""
        if self._alone is None or len(ids) == 1:
            with self._alone or contextlib.nullcontext():
                return self._run(ids)
        return _joined([self([row]) for row in ids])

    def _run(self, ids: Sequence[Sequence[int]]) -> Hidden:
        rows, mask = padded(ids, self._pad_id, self._device)
        with known_tokens(self._source):
            output = self._model(input_ids=rows, attention_mask=mask.long())
        return Hidden(output.last_hidden_state.float(), mask, rows)


def _joined(rows: Sequence[Hidden]) -> Hidden:
    """Return texts that were run one at a time as one batch."""
    parts = zip(*((row.states[0], row.mask[0], row.ids[0]) for row in rows), strict=True)
    return Hidden(*(pad_sequence(list(part), batch_first=True) for part in parts))
