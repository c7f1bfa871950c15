"""Shared beginnings: what several texts of a causal model begin with is computed once.

In a causal model a token's keys and values depend on the tokens before it and on nothing else. So the instruction that
all queries begin with, the query that stands before each of its passages, and the worked examples of an in-context
learner need one forward, and every text that begins so goes on from their keys and values.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from torch import Tensor

Ids: TypeAlias = list[int]
Rows: TypeAlias = Sequence[Ids]

Layers: TypeAlias = Mapping[int, tuple[Tensor, Tensor]]
"""By the index of a layer: its keys and values, each ``[tokens, heads, width]``."""

_LEAST = 8  # tokens; a forward of its own is not worth fewer
_PART = 16  # and they should be more than a sixteenth of what there is to compute


@dataclass(frozen=True)
class Prefix:
    """Tokens that a causal model has read, and what later tokens need of them."""

    ids: Ids
    layers: Layers

    def __len__(self) -> int:
        """Return the number of tokens."""
        return len(self.ids)

    def of(self, layer: int) -> tuple[Tensor, Tensor]:
        """Return the keys and values of a layer, each ``[tokens, heads, width]``."""
        keys, values = self.layers[layer]
        return keys[: len(self.ids)], values[: len(self.ids)]

    def cut(self, length: int) -> Prefix:
        """Return its first ``length`` tokens: what was computed of them holds for them alone, too."""
        return Prefix(self.ids[:length], self.layers)


class Prefixes:
    """Says which beginning the texts of a batch go on from, and keeps the last one for the batches to come.

    A beginning is computed when that saves work in the batch at hand, or when the two batches before had it too: single
    queries that come one after the other share their instruction. It may be called in several threads at once.

    Args:
        compute: From token ids to what Prefix keeps of them.
    """

    def __init__(self, compute: Callable[[Ids], Layers]) -> None:
        self._compute = compute
        self._lock = threading.Lock()
        self._kept = Prefix([], {})
        self._recurring: Ids = []

    def before(self, rows: Rows) -> Prefix | None:
        """Return what all ``rows`` begin with, at least one token less than the shortest; None: nothing worth it."""
        common, count, total = shared([row[:-1] for row in rows]), len(rows), sum(map(len, rows))
        with self._lock:
            recurring = self._seen_again(common)
            known = len(shared([self._kept.ids, common]))
            if _worth((count - 1) * len(common) - count * known, total):
                self._keep(common)
            elif _worth(count * (len(recurring) - known), total):
                self._keep(recurring)
            kept = self._kept.cut(len(shared([self._kept.ids, common])))
        return kept if _worth(count * len(kept), total) else None

    def _keep(self, ids: Ids) -> None:
        self._kept = Prefix(ids, self._compute(ids))

    def _seen_again(self, common: Ids) -> Ids:
        """Return the beginning that this batch has in common with the two before; nothing, if it has none."""
        before, both = self._recurring, shared([self._recurring, common])
        self._recurring = both if len(both) >= _LEAST else common
        return both if both == before else []


def shared(rows: Rows) -> Ids:
    """Return the tokens that all rows begin with."""
    # What the first and the last in dictionary order share, those between share as well.
    first, last = min(rows), max(rows)
    for index, (one, other) in enumerate(zip(first, last, strict=False)):
        if one != other:
            return first[:index]
    return first[: len(last)]


def _worth(saved: int, total: int) -> bool:
    return saved >= _LEAST and saved * _PART >= total
