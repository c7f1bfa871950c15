"""Which export belongs to a model: everything that decides what is exported, as one name."""

from __future__ import annotations

import hashlib
import json
from importlib import metadata

from FlagEmbedding.engine.fingerprint import digest, model_files
from FlagEmbedding.engine.running import Backbone

_EXPORTERS = ("flagembedding-onnx", "onnx", "onnxruntime", "torch", "transformers")


def fingerprint(backbone: Backbone) -> str:
    """Return 32 hexadecimal digits: of the weights, the configuration as it counts, and the packages that export."""
    parts = {
        "packages": {name: metadata.version(name) for name in _EXPORTERS},
        "config": _configuration(backbone),
        "files": {path.name: digest(path) for path in model_files(backbone.folder)},
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:32]


def _configuration(backbone: Backbone) -> object:
    """Return the configuration without where it was read: a folder that is moved stays the same model."""
    config = backbone.config.to_dict()
    return {name: value for name, value in config.items() if name != "_name_or_path"}
