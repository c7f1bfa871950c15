"""Rotary positions that depend on the longest text of a forward, so that a text's neighbours count."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_CHANGING = ("dynamic", "longrope")
"""transformers chooses their frequencies at each forward from the largest position in it, and keeps them."""


def changes_with_length(config: Any) -> bool:
    """Say whether a model of this configuration must be run one text at a time, one forward after the other."""
    return any(kind in _CHANGING for kind in _kinds(getattr(config.get_text_config(), "rope_parameters", None)))


def _kinds(parameters: Any) -> Iterator[Any]:
    """Yield the kind of the parameters, or of each that they hold: layers of several kinds have some each."""
    if isinstance(parameters, Mapping):
        yield parameters.get("rope_type")
        for value in parameters.values():
            yield from _kinds(value)
