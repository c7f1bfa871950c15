"""transformers' attention interface: how the packed attention gets into a model that knows nothing of it."""

from __future__ import annotations

from typing import Any

from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface

from FlagEmbedding.engine.packed.attention import Before, NotPackableError, attend
from FlagEmbedding.engine.packed.layout import Layout
from FlagEmbedding.engine.packed.patterns import Pattern, VisibleFunction
from FlagEmbedding.engine.packed.windows import CAUSAL, FULL, Window

NAME = "flagembedding_packed"
"""The ``attn_implementation`` of a model that runs packed; it runs in no other way while it is set."""

LAYOUT = "packed_layout"
"""The keyword argument of the model's forward under which the layout reaches the attention."""

# Arguments that other attention functions honour and this one does not: sinks, biases by position.
_REFUSED = ("s_aux", "position_bias")


def register() -> None:
    """Make the attention known to transformers, under :data:`NAME`; more than once is the same as once."""
    AttentionInterface.register(NAME, packed_attention)
    AttentionMaskInterface.register(NAME, _pattern)


def packed_attention(
    module: Any,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Any,
    *,
    scaling: float | None = None,
    softcap: float | None = None,
    **options: Any,
) -> tuple[Tensor, None]:
    """Attend within each text.

    Args:
        module: The attention module that calls.
        query: ``[1, heads, tokens, width]``.
        key: ``[1, key heads, tokens, width]``; key heads divide heads.
        value: As ``key``.
        attention_mask: A :class:`Pattern`, or None where the model makes no mask.
        scaling: Of the scores; None means ``width ** -0.5``.
        softcap: Scores become ``softcap * tanh(scores / softcap)``.
        **options: The layout, and what others than this function use.

    Returns:
        ``[1, tokens, heads, width]``, and no weights.
    """
    layout: Layout | None = options.get(LAYOUT)
    if layout is None:
        raise NotPackableError(f"{type(module).__name__} was not handed the layout of the texts")
    if refused := [name for name in _REFUSED if options.get(name) is not None]:
        raise NotPackableError(f"{type(module).__name__} uses {', '.join(refused)}")
    window = _window(module, attention_mask, layout, options.get("sliding_window"))
    query, key, value = (tensor[0].transpose(0, 1) for tensor in (query, key, value))
    before = _before(module, key, value, layout, window)
    mixed = attend(query, key, value, layout, window, scaling=scaling, softcap=softcap, before=before)
    return mixed.unsqueeze(0), None


def _before(module: Any, key: Tensor, value: Tensor, layout: Layout, window: Window) -> Before | None:
    """Keep this layer's keys and values where that is asked for; return those that the texts go on from, if any."""
    if layout.kept is None and layout.prefix is None:
        return None
    layer: int | None = getattr(module, "layer_idx", None)
    if layer is None or window.right:
        raise NotPackableError(f"{type(module).__name__} sees what comes behind, or has no number: nothing is shared")
    if layout.kept is not None:
        layout.kept[layer] = key, value
    return None if layout.prefix is None else layout.prefix.of(layer)


def _pattern(*, mask_function: VisibleFunction, **_: Any) -> Pattern:
    return Pattern(mask_function)


def _window(module: Any, pattern: Any, layout: Layout, sliding: int | None) -> Window:
    if isinstance(pattern, Pattern):
        return pattern.window(layout.before + layout.longest)
    if pattern is not None:
        raise NotPackableError(f"{type(module).__name__} makes its own mask")
    if sliding is not None:
        raise NotPackableError(f"{type(module).__name__} has a sliding window and makes no mask")
    return CAUSAL if getattr(module, "is_causal", True) else FULL
