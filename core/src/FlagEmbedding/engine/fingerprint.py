"""Which files make a checkpoint what it is, and the digests that tell one from another."""

from __future__ import annotations

import hashlib
from pathlib import Path

_CONFIGURATION = ("config.json", "*.index.json")
_WEIGHTS = ("*.safetensors", "*.bin")


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, read in full at about 1 GB/s: no size, time or sample tells that it is the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def model_files(folder: Path) -> list[Path]:
    """Return the weights that are loaded from ``folder`` and their configuration, sorted."""
    weights = next((found for pattern in _WEIGHTS if (found := list(folder.glob(pattern)))), [])
    return sorted([*weights, *(path for pattern in _CONFIGURATION for path in folder.glob(pattern))])
