"""Completeness: the weights of a checkpoint are those of its model, each of them, and no others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from FlagEmbedding.errors import CheckpointError

_SHOWN = 3  # weights that a message names


def require_complete(
    source: str, info: Mapping[str, Any], unused: tuple[str, ...] = (), may_lack: tuple[str, ...] = (), hint: str = ""
) -> None:
    """Raise :class:`CheckpointError` unless a checkpoint held exactly the weights of its model.

    Args:
        source: The model, as messages call it.
        info: What transformers' ``from_pretrained`` returns for ``output_loading_info=True``.
        unused: Prefixes of weights that may be left over.
        may_lack: Prefixes of weights that may be missing.
        hint: Why it may be so, put at the end of the message.
    """
    mismatched = [
        f"{name} {tuple(found)} instead of {tuple(wanted)}" for name, found, wanted in info["mismatched_keys"]
    ]
    groups = {
        "missing": sorted(name for name in info["missing_keys"] if not name.startswith(may_lack)),
        "unexpected": sorted(name for name in info["unexpected_keys"] if not name.startswith(unused)),
        "of another shape": sorted(mismatched),
    }
    problems = [_listed(names, what) for what, names in groups.items() if names]
    if problems or info["error_msgs"]:
        details = "; ".join([*problems, *map(str, info["error_msgs"])])
        raise CheckpointError(
            f"the weights of {source!r} do not fit its config.json: {details}. "
            f"The model would run on random numbers.{hint}"
        )


def _listed(names: list[str], what: str) -> str:
    more = ", ..." if len(names) > _SHOWN else ""
    return f"{len(names)} {what} ({', '.join(names[:_SHOWN])}{more})"
