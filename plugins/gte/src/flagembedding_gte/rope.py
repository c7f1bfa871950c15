"""Rotary positions: from what a GTE checkpoint's ``config.json`` states to what transformers computes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The checkpoints' own code knows no scaling but "ntk"; transformers' spelling appears where it saved a checkpoint anew.
_TYPES = {"rope_scaling": ("ntk",), "rope_parameters": ("default", "linear", "ntk")}

_KEYS = ("rope_type", "type", "rope_theta")


def rope_parameters(settings: Mapping[str, Any], head_dim: int, default_theta: float) -> dict[str, Any]:
    """Return transformers' ``rope_parameters`` for the content of a ``config.json``.

    "ntk" by a factor ``f`` (https://kexue.fm/archives/9706, fixed) divides angles ``1 / (theta * f) ** (2i / d)`` by
    ``f ** (2 / d)``, ``d`` being the width of a head. transformers has no such type, but its "linear" does just that
    when it is given ``theta * f`` and ``f ** (2 / d)``.

    Args:
        settings: The content.
        head_dim: Width of an attention head.
        default_theta: The base where the file states none.

    Raises:
        ValueError: The file asks for something else, which dropped would give other vectors.
    """
    rope, kind = _stated(settings)
    thetas = (rope.get("rope_theta"), settings.get("rope_theta"), default_theta)
    theta = _at_least(1, next(value for value in thetas if value is not None), "rope_theta")
    if kind == "default":
        return {"rope_type": "default", "rope_theta": theta}
    # Below 1 the checkpoints' own code leaves the angles as they are, which cannot be meant.
    factor = _at_least(1, rope.get("factor"), f"factor of rope type {kind!r}")
    if kind == "ntk":
        theta, factor = theta * factor, factor ** (2 / head_dim)
    return {"rope_type": "linear", "rope_theta": theta, "factor": factor}


def _stated(settings: Mapping[str, Any]) -> tuple[Mapping[str, Any], Any]:
    """Return what is stated of the rope, and its type."""
    stated = {name: settings[name] for name in _TYPES if settings.get(name)}
    if not stated:
        return {}, "default"
    if len(stated) > 1 or not all(isinstance(rope, Mapping) for rope in stated.values()):
        raise ValueError(f"it does not state its rope once, as a mapping: {stated}")
    ((name, rope),) = stated.items()
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind not in _TYPES[name] or rope.get("type", kind) != kind:
        raise ValueError(
            f"its rope type is not supported: {name} is {rope}, and only {', '.join(_TYPES[name])} is known"
        )
    known = (*_KEYS, *([] if kind == "default" else ["factor"]))
    unknown = sorted(key for key, value in rope.items() if key not in known and value is not None)
    if unknown:
        raise ValueError(f"its {name} has {', '.join(unknown)}, which is not supported for rope type {kind!r}")
    return rope, kind


def _at_least(minimum: float, value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= minimum:
        raise ValueError(f"its {name} is {value!r}, not a number from {minimum}")
    return float(value)
