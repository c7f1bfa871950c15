"""The network of an M3 model: a backbone with two linear heads beside it, both in float32."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn, TypeAlias

import torch
from torch import Tensor

from FlagEmbedding.engine.weights import read_pickled
from FlagEmbedding.errors import CheckpointError

SPARSE, COLBERT = "sparse_linear", "colbert_linear"
HEAD_FILES = (f"{SPARSE}.pt", f"{COLBERT}.pt")
"""What a checkpoint holds beside its weights."""


class MissingHead(torch.nn.Module):
    """Stands where a checkpoint has no head, with the size it would have; programs read ``out_features``."""

    def __init__(self, name: str, source: str, in_features: int, out_features: int) -> None:
        super().__init__()
        self.in_features = in_features
        self.out_features = out_features
        self._message = (
            f"{source!r} has no {name}.pt, without which it gives dense vectors only. Copy that file from the model "
            f"it was trained from (BAAI/bge-m3 has one), or ask for return_dense=True alone."
        )

    def forward(self, _states: Tensor) -> NoReturn:
        """Raise :class:`CheckpointError`: random numbers would look like an answer."""
        raise self.error()

    def error(self) -> CheckpointError:
        """Return the error that says which file is missing, and what to do."""
        return CheckpointError(self._message)


Head: TypeAlias = torch.nn.Linear | MissingHead


class M3Model(torch.nn.Module):
    """The backbone and its heads, under the names that programs read.

    Attributes:
        model: The transformers backbone, in the compute dtype.
        colbert_linear: ``hidden_size`` to the width of a ColBERT vector, float32.
        sparse_linear: ``hidden_size`` to 1, float32.
    """

    def __init__(self, backbone: torch.nn.Module, colbert_linear: Head, sparse_linear: Head) -> None:
        super().__init__()
        self.model: Any = backbone
        self.colbert_linear = colbert_linear
        self.sparse_linear = sparse_linear

    def forward(self, **inputs: Tensor) -> Any:
        """Return what the backbone makes of a batch; the heads are applied to it by the outputs asked for."""
        return self.model(**inputs)

    def head(self, name: str) -> torch.nn.Linear:
        """Return a head.

        Raises:
            CheckpointError: The checkpoint has none.
        """
        head: Head = getattr(self, name)
        return present(head)

    def get_input_embeddings(self) -> Any:
        """Return the backbone's table of token vectors."""
        return self.model.get_input_embeddings()

    @property
    def config(self) -> Any:
        """The backbone's configuration."""
        return self.model.config

    @property
    def dtype(self) -> Any:
        """The backbone's dtype."""
        return self.model.dtype


def present(head: Head) -> torch.nn.Linear:
    """Return a head.

    Raises:
        CheckpointError: The checkpoint has none.
    """
    if isinstance(head, MissingHead):
        raise head.error()
    return head


def add_heads(backbone: Any, folder: Path, source: str, colbert_dim: int) -> M3Model:
    """Return ``backbone`` with the heads that ``folder`` holds.

    Args:
        backbone: The transformers model.
        folder: The checkpoint's folder.
        source: What the caller named it, for messages.
        colbert_dim: Width of a ColBERT vector; below 1, it is what the file says.

    Raises:
        CheckpointError: A head is damaged, is no plain state dict, or has another shape.
    """
    width: int = backbone.config.hidden_size
    colbert_width = colbert_dim if colbert_dim > 0 else None
    return M3Model(
        backbone,
        load_head(folder, source, COLBERT, width, colbert_width),
        load_head(folder, source, SPARSE, width, 1),
    ).eval()


def load_head(folder: Path, source: str, name: str, width: int, out_features: int | None) -> Head:
    """Return ``Linear(width, out_features)`` from ``name.pt``, or a :class:`MissingHead` if there is no such file.

    Args:
        folder: The checkpoint's folder.
        source: What the caller named it, for messages.
        name: :data:`SPARSE` or :data:`COLBERT`.
        width: The backbone's hidden size.
        out_features: None takes what the file holds.

    Raises:
        CheckpointError: The file is damaged, holds more than tensors, or they have other shapes.
    """
    path = folder / f"{name}.pt"
    if not path.is_file():
        return MissingHead(name, source, width, out_features or width)
    state = read_pickled(path, path.name, source)
    found = {key: tuple(value.shape) for key, value in state.items()}
    rows = out_features or (found.get("weight") or (0,))[0]
    wanted = {"weight": (rows, width), "bias": (rows,)}
    if found != wanted or rows < 1:
        raise CheckpointError(f"{path.name} of {source!r} holds {found}, and the model needs {wanted}.")
    head = torch.nn.Linear(width, rows, device="meta")  # no random numbers are drawn that the file would replace
    head.load_state_dict({key: value.float() for key, value in state.items()}, assign=True)
    return head.requires_grad_(requires_grad=False)
