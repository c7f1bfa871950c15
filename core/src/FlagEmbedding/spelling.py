"""Did-you-mean: the names nearest to a misspelt one, and the refusal of unknown options."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from FlagEmbedding.errors import OptionError


def nearest(name: str, known: Iterable[str], count: int = 3) -> list[str]:
    """Return up to ``count`` of ``known`` that look like ``name``, best first, ignoring case."""
    by_folded: dict[str, str] = {}
    for candidate in known:
        by_folded.setdefault(candidate.casefold(), candidate)
    matches = difflib.get_close_matches(name.casefold(), list(by_folded), n=count, cutoff=0.5)
    return [by_folded[match] for match in matches]


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return ``"Did you mean 'a' or 'b'?"``, or an empty string when nothing is near."""
    names = nearest(name, known)
    return f"Did you mean {' or '.join(map(repr, names))}?" if names else ""


def reject_unknown_options(options: Mapping[str, Any], known: Iterable[str], where: str) -> None:
    """Raise :class:`OptionError` for the first of ``options``, naming the nearest of ``known``.

    Upstream kept unknown arguments as attributes, so that a typo changed nothing and said nothing.
    """
    known = sorted(known)
    for name in options:
        hint = did_you_mean(name, known)
        raise OptionError(f"{where} got an unknown option {name!r}. {hint or 'Known: ' + ', '.join(known) + '.'}")
