"""Plausible: what a model's files ask for, looked at before anything is allocated or opened for it.

A ``config.json`` of a few bytes can ask for a network of any size, a file in another folder, or code of the hub.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.sources import is_file, leads_out

_DEEPEST = 50
"""Levels of objects and lists in each other; Python's own recursion ends at some hundreds."""

# Settings that are counted up to while a network is built, or even before that, and how far.
_COUNTS = re.compile(r"num_\w+")
_MOST = 1_000_000
_LAYERS = re.compile(r"(n|num|encoder|decoder)_(\w+_)?(layers?|blocks?|stages?|groups?)|\w+_experts|depth")
_MOST_LAYERS = 1000

# Where transformers takes the name of a hub repository for that of code to fetch and run.
_KERNELS = re.compile(r"\w*_implementation\w*")

INDICES = ("model.safetensors.index.json", "pytorch_model.bin.index.json")
"""The files that say which weights lie in which file."""

_WEIGHTS = (".safetensors", ".bin")
# Numbers that a byte of weights may hold (4-bit weights: two), and those of a network that no file need hold.
_PER_BYTE, _FREE = 2, 1_000_000


def check_settings(source: str, name: str, settings: object) -> None:
    """Refuse settings that would take the process's time or memory, or run code.

    Args:
        source: The model, as messages call it.
        name: The file.
        settings: Its content.

    Raises:
        CheckpointError: Something in it is out of all proportion, or names code on the hub.
    """
    for key, value, depth in _walk(settings):
        if depth > _DEEPEST:
            raise CheckpointError(f"{name} of {source!r} is nested more than {_DEEPEST} levels deep.")
        most = _MOST_LAYERS if _LAYERS.fullmatch(key) else _MOST if _COUNTS.fullmatch(key) else None
        if most is not None and isinstance(value, (int, float)) and value > most:
            raise CheckpointError(f"{name} of {source!r} says {key}={value!r}; no more than {most} are built here.")
        if isinstance(value, str) and "/" in value and _KERNELS.fullmatch(key):
            raise CheckpointError(
                f"{name} of {source!r} says {key}={value!r}, which is code on the hub and is not run. Remove it, or "
                f"name another one with attn_implementation=."
            )


def _walk(value: object, key: str = "", depth: int = 0) -> Iterator[tuple[str, object, int]]:
    """Yield each value in nested settings, its name, and how deep it lies. What is in a list has the list's name."""
    yield key, value, depth
    if depth > _DEEPEST:
        return
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _walk(item, key if _KERNELS.fullmatch(key) else str(name), depth + 1)
    elif isinstance(value, list):
        for item in value:
            yield from _walk(item, key, depth + 1)


def check_shards(source: str, name: str, index: Mapping[str, Any]) -> None:
    """Refuse an index of weights that names files outside of the model's folder.

    Args:
        source: The model, as messages call it.
        name: The file.
        index: Its content.

    Raises:
        CheckpointError: It does, or holds no such names.
    """
    shards = index.get("weight_map")
    if not isinstance(shards, Mapping) or not all(isinstance(shard, str) for shard in shards.values()):
        raise CheckpointError(f"{name} of {source!r} should name a file for each weight under weight_map.")
    outside = next((shard for shard in shards.values() if leads_out(shard)), None)
    if outside is not None:
        raise CheckpointError(f"{name} of {source!r} leads out of the model's folder, to {outside!r}; not read.")


def check_size(source: str, folder: Path, kind: Any, config: Any) -> None:
    """Refuse a configuration of a network that is far larger than the weights; each missing one would be allocated.

    Args:
        source: The model, as messages call it.
        folder: Its files.
        kind: A class with transformers' ``from_pretrained``.
        config: The model's configuration.

    Raises:
        CheckpointError: It describes one.
    """
    files = (path for path in folder.iterdir() if path.suffix in _WEIGHTS and is_file(path))
    held = sum(path.stat().st_size for path in files)
    described = _numbers(kind, config)
    if described > _PER_BYTE * held + _FREE:
        raise CheckpointError(
            f"config.json of {source!r} describes a network of {described} numbers, and its weights are {held} bytes: "
            f"they do not belong together."
        )


def _numbers(kind: Any, config: Any) -> int:
    """Return how many numbers a network holds, from a sketch of it that takes no memory."""
    own = copy.deepcopy(config)
    with torch.device("meta"):
        if hasattr(kind, "from_config"):
            network: nn.Module = kind.from_config(own, trust_remote_code=False)
        else:  # a class of networks, which has that under this name alone
            network = kind._from_config(own)  # noqa: SLF001
    return sum(tensor.numel() for tensor in (*network.parameters(), *network.buffers()))
