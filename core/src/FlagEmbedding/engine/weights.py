"""The weights of a layer that has a folder of its own: safetensors, or the older format if it holds tensors alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.errors import CheckpointError


def _pickled(path: Path) -> Mapping[str, Tensor]:
    weights = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(weights, Mapping) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise TypeError("it holds no mapping of names to tensors")
    return weights


_FORMATS: Mapping[str, Callable[[Path], Mapping[str, Tensor]]] = {
    "model.safetensors": safetensors.torch.load_file,
    "pytorch_model.bin": _pickled,
}
"""The first that is there is read."""


def read_weights(checkpoint: Checkpoint, folder: str) -> dict[str, Tensor]:
    """Return the weights in ``folder`` of a model by name, on the CPU.

    Raises:
        CheckpointError: There are none, or they are damaged; or a file of the older format would run code.
    """
    for name, read in _FORMATS.items():
        path = checkpoint.file(f"{folder}/{name}")
        if path is not None:
            with checkpoint.explained(f"{folder}/{name}"):
                return dict(read(path))
    raise CheckpointError(
        f"{checkpoint.source!r} has no weights for {folder} (neither {' nor '.join(_FORMATS)}); its vectors would be "
        f"wrong without them. Copy the folder from the model as it was saved."
    )
