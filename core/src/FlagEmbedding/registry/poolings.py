"""``N_Pooling/config.json``: how sentence-transformers pools, in both its dialects, under the names used here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.registry.files import ModelFiles

# A flag for each mode (to version 5.3), in the order in which several are concatenated, whatever the file's.
_FLAGS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

_NAMES = {
    "cls": "cls",
    "max": "max",
    "mean": "mean",
    "mean_sqrt_len_tokens": "mean_sqrt_len",
    "weightedmean": "weighted_mean",
    "lasttoken": "last_token",
}

_WIDTHS = ("embedding_dimension", "word_embedding_dimension")


def read_pooling(files: ModelFiles, folder: str) -> str:
    """Return the pooling that the module in ``folder`` describes; ``"mean+max"`` for two that are concatenated.

    Raises:
        CheckpointError: It is no pooling that is known, or leaves the prompt out.
    """
    name = f"{folder}/config.json"
    config = files.mapping(name) or {}
    modes = _modes(config)
    if not modes or not all(isinstance(mode, str) and mode in _NAMES for mode in modes):
        raise _unsupported(files, name, f"asks for a pooling that is not supported: {dict(config)}")
    if not config.get("include_prompt", True):  # sentence-transformers takes null and 0 for false too
        raise _unsupported(
            files,
            name,
            "leaves the prompt's tokens out of the pooling (include_prompt: false), which is not supported: the "
            "vectors of texts with an instruction would be wrong",
        )
    return "+".join(_NAMES[mode] for mode in modes)


def _modes(config: Mapping[str, Any]) -> list[Any]:
    if "pooling_mode" in config:
        modes = config["pooling_mode"]
        return modes if isinstance(modes, list) else [modes]
    flags = {key: value for key, value in config.items() if key.startswith("pooling_mode_")}
    unknown = [key for key, value in flags.items() if value and key not in _FLAGS]
    if unknown or not (flags or any(key in config for key in _WIDTHS)):
        return unknown
    # sentence-transformers takes the mean where no flag is set.
    return [mode for flag, mode in _FLAGS.items() if flags.get(flag)] or ["mean"]


def _unsupported(files: ModelFiles, name: str, what: str) -> CheckpointError:
    return CheckpointError(
        f"{name} of {files.source!r} {what}. Name a registered pooling function with pooling_method=."
    )
