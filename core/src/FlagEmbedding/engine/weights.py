"""The weights of a layer that has a folder of its own: safetensors, or the older format if it holds tensors alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import safetensors.torch
import torch
from torch import Tensor

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.explaining import explained
from FlagEmbedding.errors import CheckpointError


def _pickled(path: Path) -> Mapping[str, Tensor]:
    weights = torch.load(path, map_location="cpu", weights_only=True)
    if not isinstance(weights, Mapping) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise TypeError("it holds no mapping of names to tensors")
    return weights


def _checked(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for name, weight in weights.items():
        if weight.layout is not torch.strided or not weight.is_floating_point():
            raise TypeError(f"{name} is a tensor of {weight.dtype} ({weight.layout}), and no plain floating-point one")
    return dict(weights)


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
            with explained(f"{folder}/{name}", checkpoint.source):
                return _checked(read(path))
    raise CheckpointError(
        f"{checkpoint.source!r} has no weights for {folder} (neither {' nor '.join(_FORMATS)}); its vectors would be "
        f"wrong without them. Copy the folder from the model as it was saved."
    )
