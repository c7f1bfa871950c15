"""The packed forward: texts of any length behind one another, no padding computed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

import torch
from torch import Tensor

from FlagEmbedding.engine.explaining import known_tokens
from FlagEmbedding.engine.packed.layout import Layout, Wanted
from FlagEmbedding.engine.packed.prefix import Ids, Layers, Prefix, Prefixes, Rows
from FlagEmbedding.engine.packed.states import PackedStates


class Body(Protocol):
    """A model that runs packed; ``str()`` says how.

    Attributes:
        dtype: What it computes in.
        uses_onednn: Whether its linears are oneDNN's.
    """

    dtype: torch.dtype
    uses_onednn: bool

    def __call__(
        self, ids: Tensor, positions: Tensor, types: Tensor | None, layout: Layout, wanted: Wanted = "all"
    ) -> Tensor:
        """Return ``[tokens, width]``, or ``[texts, width]`` as the layout has the texts, in the model's dtype.

        Args:
            ids: int64 ``[tokens]``.
            positions: int64 ``[tokens]``.
            types: int64 ``[tokens]``; None means 0 throughout.
            layout: Where each text lies.
            wanted: The tokens of each text that somebody reads.
        """


class PackedForward:
    """A model, run on texts behind one another.

    All methods take the token ids of each text, at least one token each, and where the texts have several parts
    (a query and a passage) the type of each token. They may run in several threads at once.

    Args:
        body: What runs.
        positions: How its positions count.
        device: Where it is.
        step: See :class:`Layout`; how many tokens, given how many there are.

    Attributes:
        shares: Whether last tokens are computed from what the texts of a batch begin with, once for all of them; only a
            causal model can.
    """

    shares = False

    def __init__(
        self, body: Body, positions: Positions, device: str = "cpu", step: Callable[[int], int] = lambda _: 1
    ) -> None:
        self.body = body
        self._positions = positions
        self._device = torch.device(device)
        self._step = step
        self._prefixes = Prefixes(self._keys_and_values)

    def __call__(self, rows: Rows, types: Rows | None = None) -> PackedStates:
        """Return the vectors of all tokens."""
        layout, ids, states = self._run(rows, types, "all")
        return PackedStates(states, ids, layout)

    def mean(self, rows: Rows, types: Rows | None = None) -> Tensor:
        """Return float32 ``[texts, width]``: the mean over each text's tokens."""
        return self(rows, types).mean()

    def first(self, rows: Rows, types: Rows | None = None) -> Tensor:
        """Return float32 ``[texts, width]``: each text's first token; the last layer computes no other."""
        layout, _, states = self._run(rows, types, "first")
        return layout.restore(states.float())

    def last(self, rows: Rows, types: Rows | None = None) -> Tensor:
        """Return float32 ``[texts, width]``: each text's last token; the last layer computes no other."""
        prefix = self._prefixes.before(rows) if self.shares and types is None else None
        if prefix is not None:
            rows = [row[len(prefix) :] for row in rows]
        layout, _, states = self._run(rows, types, "last", prefix)
        return layout.restore(states.float())

    def _run(
        self, rows: Rows, types: Rows | None, wanted: Wanted, prefix: Prefix | None = None
    ) -> tuple[Layout, Tensor, Tensor]:
        layout = self._layout(rows, prefix)
        ids = layout.pack(rows)
        kinds = layout.pack(types) if types is not None else None
        with known_tokens(self._positions.source):
            return layout, ids, self.body(ids, self._positions(rows, layout), kinds, layout, wanted)

    def _layout(self, rows: Rows, prefix: Prefix | None = None) -> Layout:
        lengths = list(map(len, rows))
        return Layout(lengths, self._device, self._step(sum(lengths)), prefix)

    def _keys_and_values(self, ids: Ids) -> Layers:
        layout = self._layout([ids])
        layout.kept = {}
        with known_tokens(self._positions.source):
            self.body(layout.pack([ids]), self._positions([ids], layout), None, layout, "last")
        return layout.kept


class Positions:
    """How a model numbers the tokens of a text.

    Most count from 0. The RoBERTa family counts from ``padding_idx + 1`` and leaves tokens that are the padding token
    out, wherever they stand: such a token, which a text may well contain, has the position ``padding_idx``.
    """

    def __init__(self, model: torch.nn.Module) -> None:
        self.padding = _padding_position(model)
        self.source = str(getattr(getattr(model, "config", None), "name_or_path", ""))

    def __call__(self, rows: Rows, layout: Layout) -> Tensor:
        """Return int64 ``[tokens]``, as the layout packs them."""
        if self.padding is None:
            return layout.positions()
        if any(self.padding in row for row in rows):
            return layout.pack([self._numbered(row, self.padding) for row in rows])
        return layout.positions(self.padding + 1)

    @staticmethod
    def _numbered(row: Sequence[int], padding: int) -> list[int]:
        tokens = torch.tensor(row) != padding
        numbers: list[int] = (tokens.cumsum(0) * tokens + padding).tolist()
        return numbers


def _padding_position(model: torch.nn.Module) -> int | None:
    """Return the position of padding tokens, for models whose table of positions has a row for them."""
    tables = (module for name, module in model.named_modules() if name.endswith("position_embeddings"))
    found = (table.padding_idx for table in tables if isinstance(table, torch.nn.Embedding))
    return next((index for index in found if index is not None), None)
