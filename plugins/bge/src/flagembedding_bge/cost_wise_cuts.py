"""What a caller may ask of a lightweight reranker: which layers score a pair, and where its tokens get fewer."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral
from typing import Any, TypeAlias

from FlagEmbedding.errors import OptionError
from flagembedding_bge.cost_wise_config import CostWiseGemmaConfig

Layers: TypeAlias = Sequence[int] | int

RATIOS = (1, 2, 4, 8)
"""Tokens of a passage that become one; the model was trained with these."""

HEADS = ("position", "layer")
"""How a layer gets its head; see :func:`plan_cuts`."""


@dataclass(frozen=True)
class Cuts:
    """A checked plan of one forward.

    Attributes:
        layers: The scored layers, in the order in which they were asked for.
        heads: The number of its head, by scored layer.
        compress_layers: The passage is compressed before each of these.
        ratio: Tokens that become one.
    """

    layers: tuple[int, ...]
    heads: Mapping[int, int]
    compress_layers: frozenset[int]
    ratio: int

    @property
    def depth(self) -> int:
        """How many layers are run."""
        return max(self.layers)


def plan_cuts(
    config: CostWiseGemmaConfig,
    cutoff_layers: Layers | None = None,
    compress_layers: Layers = (),
    compress_ratio: int = 1,
    head: str = "position",
) -> Cuts:
    """Return the plan for these options.

    Args:
        config: Which layers there are, and which have a head.
        cutoff_layers: Score after so many layers: one or several of ``config.scored_layers``, in any order, any of
            them more than once. None is the last.
        compress_layers: The layers (from 1) before which the passage is compressed; none counts at ratio 1. Their
            order does not matter, and those beyond the last scored layer are not reached.
        compress_ratio: One of :data:`RATIOS`; 1 compresses nothing.
        head: ``"position"``: the first of the requested layers, in ascending order, is scored with head 0, the second
            with head 1, and so on; a single layer always with head 0. These are the scores of FlagEmbedding 1.x.
            ``"layer"``: each layer with the head that was trained with it.

    Raises:
        OptionError: A layer does not exist or has no head, or the ratio or the head is none of these.
    """
    if head not in HEADS:
        raise OptionError(f"head={head!r} is not known: 'position' is the default, 'layer' the head of each layer.")
    if not _is_number(compress_ratio) or compress_ratio not in RATIOS:
        raise OptionError(f"compress_ratio={compress_ratio!r} must be 1 (no compression), 2, 4 or 8.")
    scored = config.scored_layers
    layers = _checked(scored[-1] if cutoff_layers is None else cutoff_layers, scored, "cutoff_layers", "have a head")
    if not layers:
        raise OptionError(f"cutoff_layers is empty: name some of {_listed(scored)}, or None for the last.")
    inner = range(1, config.num_hidden_layers)
    compressed = _checked(compress_layers, inner, "compress_layers", "can compress") if compress_ratio > 1 else ()
    ranks = {layer: rank for rank, layer in enumerate(sorted(set(layers)) if head == "position" else scored)}
    return Cuts(layers, {layer: ranks[layer] for layer in layers}, frozenset(compressed), int(compress_ratio))


def _checked(given: Any, valid: range, name: str, what: str) -> tuple[int, ...]:
    """Return ``given`` as numbers, each of which is in ``valid``."""
    layers = tuple(given) if isinstance(given, Iterable) else (given,)
    wrong = [layer for layer in layers if not _is_number(layer) or layer not in valid]
    if wrong:
        raise OptionError(f"{name}={given!r}: {wrong[0]!r} is no layer here. Those that {what} are {_listed(valid)}.")
    return tuple(map(int, layers))


def _is_number(value: object) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _listed(layers: range) -> str:
    """Write a range for people: ``8 to 42``, ``8, 16, 24``, ``none``."""
    if len(layers) > 1 and layers.step == 1:
        return f"{layers[0]} to {layers[-1]}"
    return ", ".join(map(str, layers)) or "none"
