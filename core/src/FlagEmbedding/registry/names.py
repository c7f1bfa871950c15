"""Names: from what a caller writes to the entry of the mapping that is meant."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import PurePath

from FlagEmbedding.errors import InputError
from FlagEmbedding.model_config import ModelConfig
from FlagEmbedding.registry.mapping import ModelMapping

_CHECKPOINT = re.compile(r"checkpoint-\d+")
_SNAPSHOT = re.compile(r"models--(?P<org>[^/\\]+?)--(?P<name>[^/\\]+)[/\\]snapshots[/\\][^/\\]+")


def clean_name(model_name_or_path: str | os.PathLike[str]) -> str:
    """Return the name as text, without trailing slashes, ``~`` expanded.

    Raises:
        InputError: It is no string or path, or empty.
    """
    given = os.fspath(model_name_or_path) if isinstance(model_name_or_path, os.PathLike) else model_name_or_path
    if not isinstance(given, str):
        raise InputError(f"a model is given by name or path, not by {type(given).__name__}.")
    text = given.strip()
    stripped = text.rstrip("/\\")
    if not stripped:
        raise InputError(f"{text!r} is no model name. Give a registered name, a hub id (org/name) or a local folder.")
    return os.path.expanduser(stripped)  # noqa: PTH111 - pathlib raises for the home of nobody


def find_entry(text: str, mapping: Mapping[str, ModelConfig]) -> str | None:
    """Return the name in ``mapping`` that ``text`` means, or None.

    Tried in turn: the text itself, the hub repository it names (also as a folder of the hub's cache), its last part
    (for ``checkpoint-N`` the folder above). Each first as written, then ignoring case.
    """
    for candidate in filter(None, _candidates(text)):
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


def _same(candidate: str, mapping: Mapping[str, ModelConfig]) -> str | None:
    folded = candidate.casefold()
    # A mapping leaves out the names that two plugins claim; they are looked at too, because asking for one is an error.
    names = [*mapping, *(mapping.conflicts() if isinstance(mapping, ModelMapping) else ())]
    found = candidate if candidate in names else next((name for name in names if name.casefold() == folded), None)
    if found is not None:
        mapping[found]
    return found


def _same_hub_id(candidate: str, mapping: Mapping[str, ModelConfig]) -> str | None:
    folded = candidate.casefold()
    return next((name for name in mapping if (mapping[name].hub_id or "").casefold() == folded), None)
