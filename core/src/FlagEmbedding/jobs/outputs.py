"""What a model gives, as columns: vectors of a fixed size, lexical weights, and matrices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from FlagEmbedding.errors import OptionError
from FlagEmbedding.jobs.rows import Rows
from FlagEmbedding.jobs.settings import EMBEDDING, ID, OUTPUTS, EmbedJob

Matrix = np.ndarray[Any, np.dtype[Any]]

_KINDS = dict(zip(OUTPUTS, ("dense_vecs", "lexical_weights", "colbert_vecs"), strict=True))
"""The keys of a model that gives several kinds."""

KIND_OPTIONS = dict(zip(OUTPUTS, ("return_dense", "return_sparse", "return_colbert_vecs"), strict=True))
"""The options that ask for them."""


def table_of(rows: Rows, result: Any, job: EmbedJob) -> pa.Table:
    """Return the rows of the output: id, the columns that are kept, and what the model gave."""
    columns: dict[str, Any] = {ID: pa.array(rows.numbers) if job.id_column is None else rows.table[job.id_column]}
    columns |= {name: rows.table[name] for name in job.columns}
    return pa.table(columns | model_columns(result, job))


def model_columns(result: Any, job: EmbedJob) -> dict[str, pa.Array]:
    """Return what the model gave for some texts, as columns."""
    made: dict[str, Callable[[Any, str], dict[str, pa.Array]]]
    made = {"dense": _dense, "sparse": _sparse, "colbert": _colbert}
    columns: dict[str, pa.Array] = {}
    for kind in OUTPUTS:
        if kind in job.outputs:
            given = result[_KINDS[kind]] if isinstance(result, Mapping) else result
            columns |= made[kind](given, job.dtype)
    return columns


def _dense(vectors: Matrix, dtype: str) -> dict[str, pa.Array]:
    if getattr(vectors, "ndim", None) != 2:  # noqa: PLR2004 - a table
        raise OptionError(f"this model gives {type(vectors).__name__}, no table of vectors, so there is none to write.")
    values, scales = _narrowed(vectors, dtype)
    return {EMBEDDING: _fixed(values)} | ({} if scales is None else {f"{EMBEDDING}_scale": pa.array(scales)})


def _sparse(weights: Sequence[Mapping[str, np.float32]], _dtype: str) -> dict[str, pa.Array]:
    """Return token ids and their weights, as two lists a text, which is how databases take sparse vectors."""
    offsets = _offsets(weights)
    indices = np.fromiter((int(token) for each in weights for token in each), np.int32, offsets[-1])
    values = np.fromiter((weight for each in weights for weight in each.values()), np.float32, offsets[-1])
    lists = [pa.ListArray.from_arrays(pa.array(offsets), pa.array(flat)) for flat in (indices, values)]
    return {"sparse": pa.StructArray.from_arrays(lists, ["indices", "values"])}


def _colbert(matrices: Sequence[Matrix], dtype: str) -> dict[str, pa.Array]:
    values, scales = _narrowed(np.concatenate([*matrices]), dtype)
    offsets = pa.array(_offsets(matrices))
    columns = {"colbert": pa.ListArray.from_arrays(offsets, _fixed(values))}
    if scales is not None:
        columns["colbert_scale"] = pa.ListArray.from_arrays(offsets, pa.array(scales))
    return columns


def _offsets(rows: Sequence[Any]) -> np.ndarray[Any, np.dtype[np.int32]]:
    return np.cumsum([0, *map(len, rows)], dtype=np.int32)


def _fixed(values: Matrix) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(np.ascontiguousarray(values).reshape(-1)), values.shape[1])


def _narrowed(vectors: Matrix, dtype: str) -> tuple[Matrix, Matrix | None]:
    """Return vectors in ``dtype``, for int8 with the scale of each: its largest number is 127 (absmax quantisation).

    A scale for each vector leaves its direction as exact as eight bits can say it, so cosines need no scale at all.
    """
    if dtype != "int8":
        return vectors.astype(dtype, copy=False), None
    scales = np.abs(vectors).max(axis=1) / 127
    safe = np.where(scales == 0, 1, scales)
    return np.rint(vectors / safe[:, None]).astype(np.int8), scales.astype(np.float32)
