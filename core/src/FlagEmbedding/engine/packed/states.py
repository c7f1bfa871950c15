"""What a packed forward gives: the vectors of all tokens, and ways to read them by text."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from FlagEmbedding.engine.forward import Hidden
from FlagEmbedding.engine.packed.layout import Layout


@dataclass(frozen=True)
class PackedStates:
    """The token vectors of one forward.

    Every method gives float32 and one row a text, in the order in which the texts were given.

    Attributes:
        states: ``[tokens, width]`` in the model's dtype, texts as ``layout`` has them.
        ids: int64 ``[tokens]``.
        layout: Where each text lies.
    """

    states: Tensor
    ids: Tensor
    layout: Layout

    def first(self) -> Tensor:
        """Return the vectors ``[texts, width]`` of the first tokens."""
        return self.layout.restore(self.states[self.layout.first].float())

    def last(self) -> Tensor:
        """Return the vectors ``[texts, width]`` of the last tokens."""
        return self.layout.restore(self.states[self.layout.last].float())

    def mean(self) -> Tensor:
        """Return the means ``[texts, width]`` over the tokens; each is summed by itself, so no neighbour counts."""
        means = [group.of(self.states).float().mean(dim=1) for group in self.layout.real_groups]
        return self.layout.restore(torch.cat(means) if len(means) > 1 else means[0])

    def split(self) -> Sequence[Tensor]:
        """Return each text's own ``[tokens, width]``."""
        return self._by_text(self.states.float())

    def padded(self) -> Hidden:
        """Return rectangles, padded on the right."""
        states = pad_sequence(self._by_text(self.states.float()), batch_first=True)
        ids = pad_sequence(self._by_text(self.ids), batch_first=True)
        mask = pad_sequence(self._by_text(torch.ones_like(self.ids, dtype=torch.bool)), batch_first=True)
        return Hidden(states, mask, ids)

    def _by_text(self, tokens: Tensor) -> list[Tensor]:
        parts = torch.split(tokens[: self.layout.tokens], self.layout.lengths)
        positions = sorted(range(len(parts)), key=self.layout.order.__getitem__)
        return [parts[position] for position in positions]
