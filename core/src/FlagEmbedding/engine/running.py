"""How a model runs: packed where that gives what the model itself gives, in padded batches otherwise."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor

from FlagEmbedding.engine import pooling
from FlagEmbedding.engine.forward import Forward, Hidden, PaddedForward, TokenVectors
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.packed.forward import PackedForward
from FlagEmbedding.engine.packed.loading import pack
from FlagEmbedding.engine.packed.prefix import Rows
from FlagEmbedding.engine.pooling import PoolingFunction
from FlagEmbedding.errors import OptionError
from FlagEmbedding.references import ENGINES, load_reference

logger = logging.getLogger(__name__)

TextForward: TypeAlias = Forward[list[int], TokenVectors]
"""Token ids of texts in, their token vectors out."""

_READ = ((pooling.cls, "first"), (pooling.mean, "mean"), (pooling.last_token, "last"))


@dataclass(frozen=True)
class PackedVectors:
    """Texts that are run when they are read, and then no further than what is read needs."""

    forward: PackedForward
    rows: Rows

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


@dataclass(frozen=True)
class PackedTexts:
    """A packed forward as the engine's: token ids in, vectors that are run when they are read out.

    Attributes:
        packed: What runs.
    """

    packed: PackedForward

    def __call__(self, rows: Sequence[list[int]], /) -> PackedVectors:
        """Return what reads the texts."""
        return PackedVectors(self.packed, rows)


def computes_beginnings_once(forward: TextForward) -> bool:
    """Say whether last tokens cost no more for a beginning that all texts have."""
    return isinstance(forward, PackedTexts) and forward.packed.shares


def fastest(model: Any, pad_id: int, device: str) -> tuple[TextForward, str, bool]:
    """Return a forward of a backbone, what it is in words, and whether it has taken the backbone over.

    A backbone that was taken over runs in no other way any more, and should be let go.
    """
    try:
        packed = pack(model, device)
    except NotPackableError as error:
        logger.info("%s runs in padded batches: %s", type(model).__name__, error)
        return PaddedForward(model, pad_id, device), f"padded batches ({error})", False
    return PackedTexts(packed), str(packed.body), True


@dataclass(frozen=True)
class Backbone:
    """A model that another engine than ours is to run: what is known of it before any weight is read.

    Attributes:
        folder: Its files.
        source: What the caller named, for messages.
        config: transformers' configuration as it counts, the caller's options in it.
        dtype: What it is to compute in.
        device: Where, as torch spells it.
        pad_id: The token that fills up a rectangle.
        load: ``load(attention)`` returns transformers' own network, in evaluation mode, on the CPU, checked to be
            complete; ``attention`` is transformers' (``"eager"``, ``"sdpa"``), None means its choice. It takes its
            time and all modelling code, so an engine asks for it when it has to.
    """

    folder: Path
    source: str
    config: Any
    dtype: torch.dtype
    device: str
    pad_id: int
    load: Callable[[str | None], torch.nn.Module]


@dataclass(frozen=True)
class OtherEngine:
    """A backbone that another engine runs.

    Attributes:
        forward: What runs. Token vectors are float32 and on the device that was asked for.
        words: What it is in words, for ``model.engine``.
        rows: How many token ids the model has a row for.
        limit: How many tokens it has positions for; None: nothing limits it.
    """

    forward: TextForward
    words: str
    rows: int
    limit: int | None


EngineFunction: TypeAlias = Callable[[Backbone], OtherEngine]
"""What ``flagembedding_engines`` names: an ``OptionError`` says what it does not run, and what to do instead."""


def engine_reference(name: str | None, model_class: str, *, plain: bool) -> str | None:
    """Return the ``"module:function"`` of another engine; None where none is asked for.

    Args:
        name: As a caller gives it.
        model_class: Who asks, for messages.
        plain: Whether it runs a checkpoint's backbone and nothing else, without code or attention of the caller's.

    Raises:
        OptionError: The engine is unknown, or there is more to run than a backbone.
    """
    if name is None:
        return None
    if not isinstance(name, str):
        raise OptionError(f"engine must be a name, not {name!r}.")
    reference = ENGINES.reference(name)
    if not plain:
        raise OptionError(
            f"engine={name!r} runs a backbone as transformers has it and nothing around it: neither a class with a "
            f"network of its own, nor trust_remote_code=True, nor attn_implementation=. Leave engine= out for this "
            f"{model_class}."
        )
    return reference


def run_by(reference: str, backbone: Backbone) -> OtherEngine:
    """Return ``backbone``, run by the engine that ``reference`` names."""
    function: EngineFunction = load_reference(reference)
    return function(backbone)


def pooled(pool: PoolingFunction, vectors: TokenVectors) -> Tensor:
    """Return what ``pool`` makes of a batch, float32 ``[texts, width]``; the well-known ways need no rectangle."""
    for known, name in _READ:
        if pool is known:  # a pooling of the caller's need not be hashable
            read: Tensor = getattr(vectors, name)()
            return read
    hidden = vectors.padded()
    return pool(hidden.states, hidden.mask)
