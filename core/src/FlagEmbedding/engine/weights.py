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


def read_pickled(path: Path, name: str, source: str) -> dict[str, Tensor]:
    """Return the floating-point tensors in a file of the older format by name, on the CPU; no code in it is run.

    Args:
        path: The file.
        name: What messages call it.
        source: The model, as messages call it.

    Raises:
        CheckpointError: It is damaged, or holds anything else: code, say.
    """
    with explained(name, source):
        return _checked(_pickled(path, name, source))


def _pickled(path: Path, name: str, source: str) -> Mapping[str, Tensor]:
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        # torch's own words are left to the chained cause: they advise to load the file without the safeguard.
        raise CheckpointError(
            f"{name} of {source!r} cannot be loaded as tensors ({type(error).__name__}): it is damaged, or holds code, "
            f"which is not run. Fetch or copy it again."
        ) from error
    if not isinstance(weights, Mapping) or not all(isinstance(weight, Tensor) for weight in weights.values()):
        raise TypeError("it holds no mapping of names to tensors")
    return weights


def _checked(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    for name, weight in weights.items():
        if weight.layout is not torch.strided or not weight.is_floating_point():
            raise TypeError(f"{name} is a tensor of {weight.dtype} ({weight.layout}), and no plain floating-point one")
    return dict(weights)


def _safe(path: Path, name: str, source: str) -> dict[str, Tensor]:
    with explained(name, source):
        return _checked(safetensors.torch.load_file(path))


_FORMATS: Mapping[str, Callable[[Path, str, str], dict[str, Tensor]]] = {
    "model.safetensors": _safe,
    "pytorch_model.bin": read_pickled,
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
            return read(path, f"{folder}/{name}", checkpoint.source)
    raise CheckpointError(
        f"{checkpoint.source!r} has no weights for {folder} (neither {' nor '.join(_FORMATS)}); its vectors would be "
        f"wrong without them. Copy the folder from the model as it was saved."
    )
