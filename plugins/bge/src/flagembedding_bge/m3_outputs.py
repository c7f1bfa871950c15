"""The outputs of an M3 model: what each head makes of one batch, and where it is gathered.

M3-Embedding (arXiv 2402.03216, section 3.2): dense, lexical (sparse) and multi-vector (ColBERT) representations of a
text, all from the token vectors of a single forward.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor

from FlagEmbedding.engine.forward import Hidden, TokenVectors
from FlagEmbedding.engine.outputs import DenseSink, Sink, check_finite

DENSE, LEXICAL, MULTI = "dense_vecs", "lexical_weights", "colbert_vecs"
KINDS = (DENSE, LEXICAL, MULTI)
"""The keys of a result, in their order."""

KIND_OPTIONS = ("return_dense", "return_sparse", "return_colbert_vecs")
"""The options that ask for them."""

Row = TypeVar("Row")

_ZERO, _NAN = np.float32(0), np.float32("nan")
_UNUSED = ("bos_token_id", "cls_token_id", "eos_token_id", "sep_token_id", "pad_token_id", "unk_token_id")


def unused_tokens(tokenizer: Any) -> frozenset[int]:
    """Return the ids that carry no lexical weight: the frame of a text, padding, and unknown words."""
    return frozenset(token for token in (getattr(tokenizer, name) for name in _UNUSED) if token is not None)


class LexicalHead:
    """Lexical weights: ``relu(linear(state))`` of each token, the largest for a token that occurs more than once."""

    def __init__(self, linear: Callable[[Tensor], Tensor], unused: frozenset[int]) -> None:
        self._linear = linear
        self._unused = unused

    def __call__(self, hidden: Hidden) -> list[dict[str, np.float32]]:
        """Return one dict a text: token id as a string to its float32 weight, positive ones only."""
        weights = torch.relu(self._linear(hidden.states[hidden.mask])).squeeze(-1).cpu()
        ids, lengths = hidden.ids[hidden.mask].cpu(), hidden.mask.sum(dim=1).tolist()
        return list(map(self._strongest, torch.split(ids, lengths), torch.split(weights, lengths)))

    def _strongest(self, ids: Tensor, weights: Tensor) -> dict[str, np.float32]:
        kept: dict[str, np.float32] = {}
        for token, weight in zip(ids.tolist(), weights.numpy(), strict=True):
            key = str(token)
            before = kept.get(key, _ZERO)
            if not weight <= before and token not in self._unused:
                kept[key] = weight if weight > before else _NAN  # one of the two is NaN, which is to be seen
        return kept


class MultiVectorHead:
    """ColBERT vectors: ``linear(state)`` of every token after the first, the end of sequence included."""

    def __init__(self, linear: Callable[[Tensor], Tensor], width: int | None, *, normalize: bool) -> None:
        self._linear = linear
        self._width = width
        self._normalize = normalize

    def __call__(self, hidden: Hidden) -> list[Tensor]:
        """Return float32 ``[tokens - 1, width]`` a text, on the CPU, no padding in it."""
        kept = hidden.mask & (hidden.mask.cumsum(dim=1) > 1)
        vectors = self._linear(hidden.states[kept])[:, : self._width]
        if self._normalize:
            vectors = torch.nn.functional.normalize(vectors, dim=-1)
        # Copies, so that a text whose vectors are kept does not keep those of its whole batch alive.
        return [rows.clone() for rows in torch.split(vectors.cpu(), kept.sum(dim=1).tolist())]


class JointHead:
    """Several heads on one forward."""

    def __init__(self, heads: Mapping[str, Callable[[Any], Any]]) -> None:
        self._heads = heads

    def __call__(self, vectors: TokenVectors) -> dict[str, Any]:
        """Return the rows of each head by its name; a dense head alone reads no more tokens than it needs."""
        hidden = vectors if [*self._heads] == [DENSE] else vectors.padded()
        return {name: head(hidden) for name, head in self._heads.items()}


class ListSink(Generic[Row]):
    """Gathers one object a text, in the order of the texts."""

    def __init__(self, texts: int) -> None:
        self._rows: dict[int, Row] = {}
        self._texts = texts

    def put(self, positions: Sequence[int], rows: Iterable[Row]) -> None:
        """Keep each of ``rows`` under its position."""
        self._rows.update(zip(positions, rows, strict=True))

    def repeat(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Copy objects, so that changing one result changes no other."""
        for source, target in zip(sources, targets, strict=True):
            self._rows[target] = copy.deepcopy(self._rows[source])

    def rows(self) -> list[Row]:
        """Return all rows."""
        return [self._rows[position] for position in range(self._texts)]


def _column(sums: Iterable[float]) -> Tensor:
    """Return ``[texts, 1]``: a sum is finite if all that was summed is."""
    return torch.tensor(list(sums), dtype=torch.float64).unsqueeze(1)


class M3Sink:
    """Gathers the rows of a :class:`JointHead`.

    Args:
        texts: How many there are.
        width: Of a dense vector.
        kinds: Those of :data:`KINDS` that are computed.
    """

    def __init__(self, texts: int, width: int, kinds: Iterable[str]) -> None:
        self._dense = DenseSink(texts, width)
        self._lexical: ListSink[dict[str, np.float32]] = ListSink(texts)
        self._multi: ListSink[Tensor] = ListSink(texts)
        sinks: dict[str, Sink[Any]] = {DENSE: self._dense, LEXICAL: self._lexical, MULTI: self._multi}
        self._sinks = {kind: sinks[kind] for kind in kinds}

    def put(self, positions: Sequence[int], rows: Mapping[str, Any]) -> None:
        """Keep the rows of every kind."""
        for kind, sink in self._sinks.items():
            sink.put(positions, rows[kind])

    def repeat(self, sources: Sequence[int], targets: Sequence[int]) -> None:
        """Copy the rows of every kind."""
        for sink in self._sinks.values():
            sink.repeat(sources, targets)

    def check_finite(self, source: str, dtype: torch.dtype) -> None:
        """Raise :class:`~FlagEmbedding.errors.NotFiniteError` where something holds NaN or infinity.

        Args:
            source: The model, as messages call it.
            dtype: In which it was computed.
        """
        sums = {
            DENSE: lambda: self._dense.vectors,
            LEXICAL: lambda: _column(sum(map(float, row.values())) for row in self._lexical.rows()),
            MULTI: lambda: _column(float(row.sum()) for row in self._multi.rows()),
        }
        for kind in self._sinks:
            check_finite(sums[kind](), kind, source, dtype)

    def result(self, *, as_numpy: bool) -> dict[str, Any]:
        """Return what was gathered by kind, None where it was not computed."""
        gathered: dict[str, Any] = dict.fromkeys(KINDS)
        if DENSE in self._sinks:
            gathered[DENSE] = self._dense.vectors.numpy() if as_numpy else self._dense.vectors
        if LEXICAL in self._sinks:
            gathered[LEXICAL] = self._lexical.rows()
        if MULTI in self._sinks:
            gathered[MULTI] = [rows.numpy() if as_numpy else rows for rows in self._multi.rows()]
        return gathered
