"""How a model runs: packed where that gives what the model itself gives, in padded batches otherwise."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from torch import Tensor

from FlagEmbedding.engine import pooling
from FlagEmbedding.engine.forward import Forward, Hidden, PaddedForward, TokenVectors
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.packed.forward import PackedForward
from FlagEmbedding.engine.packed.loading import pack
from FlagEmbedding.engine.pooling import PoolingFunction

logger = logging.getLogger(__name__)

TextForward: TypeAlias = Forward[list[int], TokenVectors]
"""Token ids of texts in, their token vectors out."""

_READ = {pooling.cls: "first", pooling.mean: "mean", pooling.last_token: "last"}


@dataclass(frozen=True)
class PackedVectors:
    """Texts that are run when they are read, and then no further than what is read needs."""

    forward: PackedForward
    rows: Sequence[Sequence[int]]

    def first(self) -> Tensor:
        """Run, and return each text's first token."""
        return self.forward.first(self.rows)

    def last(self) -> Tensor:
        """Run, and return each text's last token."""
        return self.forward.last(self.rows)

    def mean(self) -> Tensor:
        """Run, and return the mean over each text's tokens."""
        return self.forward.mean(self.rows)

    def padded(self) -> Hidden:
        """Run, and return everything."""
        return self.forward(self.rows).padded()


def fastest(model: Any, pad_id: int, device: str) -> tuple[TextForward, str, bool]:
    """Return a forward of a backbone, what it is in words, and whether it has taken the backbone over.

    A backbone that was taken over runs in no other way any more, and should be let go.
    """
    try:
        packed = pack(model, device)
    except NotPackableError as error:
        logger.info("%s runs in padded batches: %s", type(model).__name__, error)
        return PaddedForward(model, pad_id, device), f"padded batches ({error})", False
    return lambda rows: PackedVectors(packed, rows), str(packed.body), True


def pooled(pool: PoolingFunction, vectors: TokenVectors) -> Tensor:
    """Return what ``pool`` makes of a batch, float32 ``[texts, width]``; the well-known ways need no rectangle."""
    if pool in _READ:
        read: Tensor = getattr(vectors, _READ[pool])()
        return read
    hidden = vectors.padded()
    return pool(hidden.states, hidden.mask)
