"""Names: from what a caller writes to the entry of the mapping that is meant."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath

from FlagEmbedding.config import EmbedderConfig
from FlagEmbedding.errors import InputError

_CHECKPOINT = re.compile(r"checkpoint-\d+")
_SNAPSHOT = re.compile(r"models--(?P<org>[^/\\]+?)--(?P<name>[^/\\]+)[/\\]snapshots[/\\][^/\\]+")


def clean_name(model_name_or_path: str | os.PathLike[str]) -> str:
    """Return the name as text, without trailing slashes, ``~`` expanded.

    Raises:
        InputError: It is no string or path, or empty.
    """
    if not isinstance(model_name_or_path, (str, os.PathLike)):
        raise InputError(f"a model is given by name or path, not by {type(model_name_or_path).__name__}.")
    text = os.fspath(model_name_or_path).strip()
    stripped = text.rstrip("/\\")
    if not stripped:
        raise InputError(f"{text!r} is no model name. Give a registered name, a hub id (org/name) or a local folder.")
    return str(Path(stripped).expanduser()) if stripped.startswith("~") else stripped


def find_entry(text: str, mapping: Mapping[str, EmbedderConfig]) -> str | None:
    """Return the name in ``mapping`` that ``text`` means, or None.

    Tried in turn: the text itself, the hub repository it names (also as a folder of the hub's cache), its last part
    (for ``checkpoint-N`` the folder above). Each first as written, then ignoring case.
    """
    for candidate in _candidates(text):
        entry = _same(candidate, mapping) or _same_hub_id(candidate, mapping)
        if entry is not None:
            return entry
    return None


def _candidates(text: str) -> Iterable[str]:
    yield text
    snapshot = _SNAPSHOT.search(text)
    if snapshot:
        yield f"{snapshot['org']}/{snapshot['name']}"
        yield snapshot["name"]
        return
    path = PurePath(text.replace("\\", "/"))
    yield path.parent.name if _CHECKPOINT.fullmatch(path.name) else path.name


def _same(candidate: str, mapping: Mapping[str, EmbedderConfig]) -> str | None:
    if not candidate:
        return None
    if candidate in mapping:
        return candidate
    # Asking for a name that two plugins claim is an error, and the mapping raises it here.
    mapping.get(candidate)
    return next((name for name in mapping if name.casefold() == candidate.casefold()), None)


def _same_hub_id(candidate: str, mapping: Mapping[str, EmbedderConfig]) -> str | None:
    folded = candidate.casefold()
    return next((name for name in mapping if (mapping[name].hub_id or "").casefold() == folded), None)
