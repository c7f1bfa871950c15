"""Windows: which tokens of its text a token sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

UNLIMITED = 2**31 - 1

# Queries that are computed at a time where a window has an edge inside the text: scores of [heads, 512, 512 + window]
# stay small, and keys which nobody in the block sees are not touched at all.
_BLOCK = 512


@dataclass(frozen=True)
class Window:
    """A token sees ``left`` tokens before it and ``right`` behind it."""

    left: int
    right: int

    def covers(self, length: int) -> bool:
        """Whether every token of such a text sees every other."""
        return self.left >= length - 1 and self.right >= length - 1

    def is_causal(self, length: int) -> bool:
        """Whether every token of such a text sees itself, all before it, and nothing else."""
        return self.left >= length - 1 and self.right == 0

    def blocks(self, first: int, length: int) -> Iterator[tuple[slice, slice]]:
        """Yield slices of the queries from ``first`` on, and of the keys that some of them see."""
        for start in range(first, length, _BLOCK):
            stop = min(start + _BLOCK, length)
            yield slice(start, stop), slice(max(0, start - self.left), min(length, stop + self.right))

    def mask(self, queries: slice, keys: slice, device: torch.device) -> Tensor | None:
        """Return bool ``[queries, keys]``, True where a query sees a key; None where all do."""
        if queries.stop - 1 - keys.start <= self.left and keys.stop - 1 - queries.start <= self.right:
            return None
        rows = torch.arange(queries.start, queries.stop, device=device).unsqueeze(1)
        distance = rows - torch.arange(keys.start, keys.stop, device=device)
        return (distance <= self.left) & (distance >= -self.right)


FULL = Window(UNLIMITED, UNLIMITED)
CAUSAL = Window(UNLIMITED, 0)
