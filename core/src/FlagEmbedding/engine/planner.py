"""The plan of a run: which texts share a forward."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Budget:
    """Upper bounds of one forward: texts, and tokens with padding counted.

    On a CPU small batches are faster: beyond some thousand tokens the activations leave the cache.
    """

    texts: int
    tokens: int


CPU_TOKENS = 2048
LANE_TOKENS = 1024
"""On each thread of a CPU, where every thread has a batch of its own."""
ACCELERATOR_TOKENS = 16384


class Plan:
    """Batches of indices into ``lengths``, longest texts first; each index occurs once.

    Sorted by length, so that the texts of a batch need little padding, and so that what needs most memory comes first.
    A text longer than the budget goes alone.
    """

    def __init__(self, lengths: Sequence[int], budget: Budget) -> None:
        self._lengths = lengths
        self._pending = deque(sorted(range(len(lengths)), key=lambda index: -lengths[index]))
        self.budget = budget

    def __iter__(self) -> Iterator[list[int]]:
        """Yield batches until every index was in one."""
        while self._pending:
            yield self._next()

    def halve(self, batch: Sequence[int]) -> None:
        """Take back a batch that was too large for the memory, and plan batches of half its size from now on."""
        self._pending.extendleft(reversed(batch))
        tokens = len(batch) * self._lengths[batch[0]]
        self.budget = Budget(max(1, len(batch) // 2), max(1, tokens // 2))

    def _next(self) -> list[int]:
        longest = self._lengths[self._pending[0]]
        most = max(1, min(self.budget.texts, self.budget.tokens // max(1, longest), len(self._pending)))
        return [self._pending.popleft() for _ in range(most)]
