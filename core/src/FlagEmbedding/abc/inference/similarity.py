"""How vectors are compared: the four ways that sentence-transformers knows, with its names and its results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from FlagEmbedding.errors import InputError, OptionError
from FlagEmbedding.spelling import did_you_mean

Comparison: TypeAlias = Callable[[Tensor, Tensor], Tensor]

_ALL: Mapping[str, Comparison] = {
    "cosine": lambda one, other: normalize(one, dim=-1) @ normalize(other, dim=-1).T,
    "dot": lambda one, other: one @ other.T,
    "euclidean": lambda one, other: -torch.cdist(one, other, p=2.0),
    "manhattan": lambda one, other: -torch.cdist(one, other, p=1.0),
}
_PAIRWISE: Mapping[str, Comparison] = {
    "cosine": lambda one, other: (normalize(one, dim=-1) * normalize(other, dim=-1)).sum(dim=-1),
    "dot": lambda one, other: (one * other).sum(dim=-1),
    "euclidean": lambda one, other: -torch.linalg.vector_norm(one - other, dim=-1),
    "manhattan": lambda one, other: -(one - other).abs().sum(dim=-1),
}

COSINE = "cosine"


def check_similarity(name: Any) -> str:
    """Return the name of a way to compare; None means ``"cosine"``, and sentence-transformers' enumeration will do.

    Raises:
        OptionError: It is none of the four.
    """
    wanted = COSINE if name is None else name.value if isinstance(name, Enum) else name
    if not isinstance(wanted, str) or wanted not in _ALL:
        hint = did_you_mean(wanted, _ALL) if isinstance(wanted, str) else ""
        raise OptionError(f"similarity_fn_name is one of {', '.join(map(repr, _ALL))}, not {name!r}. {hint}".rstrip())
    return wanted


def similarities(name: str, one: Any, other: Any) -> Tensor:
    """Return how alike each of ``one`` is to each of ``other``.

    Args:
        name: ``"cosine"``, ``"dot"``, ``"euclidean"`` or ``"manhattan"``; distances are negative: more is nearer.
        one: Vectors ``[n, dimension]`` or one ``[dimension]``: numpy, torch, or a list of vectors.
        other: Likewise, ``[m, dimension]``.

    Returns:
        ``[n, m]``, float32 unless both are float64.

    Raises:
        InputError: Something is no table of numbers, or the widths differ.
    """
    rows, columns = _together(_in_rows(_as_tensor(one)), _in_rows(_as_tensor(other)))
    if rows.shape[1] != columns.shape[1]:
        raise InputError(f"vectors of {rows.shape[1]} and of {columns.shape[1]} numbers cannot be compared.")
    return _ALL[name](rows, columns)


def pairwise_similarities(name: str, one: Any, other: Any) -> Tensor:
    """Return how alike ``one[i]`` is to ``other[i]``: ``[n]``, or a number for two single vectors.

    The arguments are those of :func:`similarities`.

    Raises:
        InputError: Something is no table of numbers, or there are not as many of both.
    """
    rows, columns = _together(_as_tensor(one), _as_tensor(other))
    if rows.shape != columns.shape:
        raise InputError(f"pairs need as many vectors of both, and these are {_shape(rows)} and {_shape(columns)}.")
    return _PAIRWISE[name](rows, columns)


def _in_rows(tensor: Tensor) -> Tensor:
    return tensor.unsqueeze(0) if tensor.ndim == 1 else tensor


def _together(one: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
    dtype = torch.promote_types(one.dtype, other.dtype)
    return one.to(dtype), other.to(device=one.device, dtype=dtype)


def _as_tensor(vectors: Any) -> Tensor:
    try:
        tensor = _tensor(vectors)
    except (TypeError, ValueError, RuntimeError) as error:
        raise InputError(f"vectors are tables of numbers, not {type(vectors).__name__}: {error}") from error
    if tensor.ndim not in (1, 2):
        raise InputError(f"vectors have one dimension, or two for several of them, and these have {_shape(tensor)}.")
    # In half precision near scores would become equal, and whole numbers would overflow.
    wide = tensor.is_floating_point() and torch.finfo(tensor.dtype).bits >= torch.finfo(torch.float32).bits
    return tensor if wide else tensor.float()


def _tensor(vectors: Any) -> Tensor:
    if isinstance(vectors, Tensor):
        return vectors
    if isinstance(vectors, Mapping):
        raise TypeError(f"of its outputs ({', '.join(map(str, vectors))}) give the one that is compared")
    if isinstance(vectors, (list, tuple)):
        rows = {type(row) for row in vectors}
        if rows == {Tensor}:
            return torch.stack(list(vectors))
        if rows != {np.ndarray}:  # torch reads arrays in a list number by number
            return torch.tensor(vectors)
    array = np.asarray(vectors)
    return torch.from_numpy(array if array.flags.writeable else array.copy())


def _shape(tensor: Tensor) -> str:
    return str(list(tensor.shape))
