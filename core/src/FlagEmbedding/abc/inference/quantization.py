"""Fewer bits a number: the precisions of sentence-transformers, with its names and its results."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from FlagEmbedding.errors import InputError, OptionError

FULL = "float32"
_BITS = ("binary", "ubinary")
_BYTES = ("int8", "uint8")
PRECISIONS = (FULL, *_BYTES, *_BITS)

_STEPS = 255


def check_precision(precision: Any) -> str:
    """Return the precision that is meant; None means ``"float32"``.

    Raises:
        OptionError: It is none of :data:`PRECISIONS`.
    """
    if precision is None:
        return FULL
    if precision not in PRECISIONS:
        raise OptionError(f"precision is one of {', '.join(map(repr, PRECISIONS))}, not {precision!r}.")
    return str(precision)


def quantized(vectors: Any, precision: str) -> Any:
    """Return ``vectors`` with fewer bits a number; a tensor for a tensor.

    Args:
        vectors: float32 ``[texts, dimension]``.
        precision: ``"binary"`` and ``"ubinary"``: a bit a number, whether it is positive, eight to an int8 or uint8.
            ``"int8"`` and ``"uint8"``: 256 steps between the smallest and the largest number of each component, taken
            over these very vectors, so that only the vectors of one call can be compared.

    Raises:
        InputError: 256 steps are asked for, and there is one vector only.
    """
    array = vectors.numpy() if isinstance(vectors, torch.Tensor) else vectors
    made = _bits(array, precision) if precision in _BITS else _bytes(array, precision)
    return torch.from_numpy(made) if isinstance(vectors, torch.Tensor) else made


def _bits(vectors: np.ndarray[Any, Any], precision: str) -> np.ndarray[Any, Any]:
    packed: np.ndarray[Any, Any] = np.packbits(vectors > 0, axis=-1)
    return packed if precision == "ubinary" else (packed.astype(np.int16) - 128).astype(np.int8)


def _bytes(vectors: np.ndarray[Any, Any], precision: str) -> np.ndarray[Any, Any]:
    if len(vectors) == 1:
        raise InputError(
            f"precision={precision!r} takes its steps from the vectors of the call, and one vector shows no range. "
            f"Encode all texts in one call, or quantise float32 vectors with ranges of your own "
            f"(sentence_transformers.quantize_embeddings(vectors, ranges=...))."
        )
    if not len(vectors):
        return vectors.astype(precision)
    smallest = vectors.min(axis=0)
    steps = (vectors.max(axis=0) - smallest) / _STEPS
    steps = np.where(steps == 0, 1, steps)
    counted: np.ndarray[Any, Any] = np.clip(np.floor((vectors - smallest) / steps), 0, _STEPS)
    return counted.astype(np.uint8) if precision == "uint8" else (counted - 128).astype(np.int8)
