"""Outputs: where the rows of a run are gathered, in the order of the texts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor

from FlagEmbedding.errors import NotFiniteError

_SHOWN = 5  # rows that a message names

Rows_contra = TypeVar("Rows_contra", contravariant=True)


class Sink(Protocol[Rows_contra]):
    """Takes the result of each batch, with the positions of its texts."""

    def put(self, positions: Sequence[int], rows: Rows_contra) -> None:
        """Keep ``rows[i]`` for the text at ``positions[i]``."""

    def repeat(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Keep what was kept for the text at ``sources[i]`` for the one at ``targets[i]`` too: they are equal."""


def check_finite(rows: Tensor, what: str, source: str, dtype: torch.dtype) -> None:
    """Raise :class:`NotFiniteError` where a row holds NaN or infinity, which would pass for a number further on.

    Args:
        rows: What was computed, a row a text or pair.
        what: What a row is, in the plural.
        source: The model, as messages call it.
        dtype: In which it was computed.
    """
    if not rows.numel() or all(map(math.isfinite, rows.aminmax())):  # without a copy: rows may be all of a corpus
        return
    faulty: list[int] = (~rows.isfinite().flatten(1).all(dim=1)).nonzero().flatten().tolist()
    named = ", ".join(map(str, faulty[:_SHOWN])) + (", ..." if len(faulty) > _SHOWN else "")
    raise NotFiniteError(
        f"{len(faulty)} of {len(rows)} {what} of {source!r} hold NaN or infinity ({named}), computed in {dtype}. In "
        f"half precision numbers may have grown too large: load it with use_bf16=True, or with use_fp16=False. "
        f"Otherwise its weights or its config.json are damaged."
    )


class DenseSink:
    """Gathers vectors as one float32 tensor on the CPU, ``[texts, dimension]``."""

    def __init__(self, texts: int, dimension: int) -> None:
        self.vectors = torch.empty(texts, dimension, dtype=torch.float32)

    def put(self, positions: Sequence[int], rows: Tensor) -> None:
        """Copy float32 ``[len(positions), dimension]`` to its rows."""
        self.vectors[list(positions)] = rows.cpu()

    def repeat(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Copy rows."""
        self.vectors[list(targets)] = self.vectors[list(sources)]


class ScoreSink:
    """Gathers scores as one float32 tensor on the CPU, ``[pairs, lists]``: one list of scores, or one a layer."""

    def __init__(self, pairs: int, lists: int) -> None:
        self.scores = torch.empty(pairs, lists, dtype=torch.float32)

    def put(self, positions: Sequence[int], rows: Tensor) -> None:
        """Copy float32 ``[len(positions), lists]`` to its rows."""
        self.scores[list(positions)] = rows.cpu()

    def repeat(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Copy rows."""
        self.scores[list(targets)] = self.scores[list(sources)]
