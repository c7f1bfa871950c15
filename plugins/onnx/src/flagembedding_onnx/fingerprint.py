"""Which export belongs to a model: everything that decides what is exported, as one name."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata
from pathlib import Path

from FlagEmbedding.engine.running import Backbone

_EXPORTERS = ("flagembedding-onnx", "onnx", "onnxruntime", "torch", "transformers")

_CONFIGURATION = ("config.json", "*.index.json")
_WEIGHTS = ("*.safetensors", "*.bin")


def fingerprint(backbone: Backbone) -> str:
    """Return 32 hexadecimal digits: of the weights, the configuration as it counts, and the packages that export.

    Weights are read in full, at about 1 GB/s: no size, time or sample of a file tells that it is still the same one.
    """
    parts = {
        "packages": {name: metadata.version(name) for name in _EXPORTERS},
        "config": _configuration(backbone),
        "files": {path.name: digest(path) for path in _files(backbone.folder)},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def digest(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _configuration(backbone: Backbone) -> object:
    """Return the configuration without where it was read: a folder that is moved stays the same model."""
    config = backbone.config.to_dict()
    return {name: value for name, value in config.items() if name != "_name_or_path"}


def _files(folder: Path) -> list[Path]:
    weights = next((found for pattern in _WEIGHTS if (found := list(folder.glob(pattern)))), [])
    return sorted([*weights, *(path for pattern in _CONFIGURATION for path in folder.glob(pattern))])
