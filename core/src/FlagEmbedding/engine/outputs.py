"""Outputs: where the rows of a run are gathered, in the order of the texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

import torch
from torch import Tensor

Rows_contra = TypeVar("Rows_contra", contravariant=True)


class Sink(Protocol[Rows_contra]):
    """Takes the result of each batch, with the positions of its texts."""

    def put(self, positions: Sequence[int], rows: Rows_contra) -> None:
        """Keep ``rows[i]`` for the text at ``positions[i]``."""

    def repeat(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Keep what was kept for the text at ``sources[i]`` for the one at ``targets[i]`` too: they are equal."""


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
