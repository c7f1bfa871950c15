"""Pieces of the input: rows of one file that follow one another, the malformed ones in their places."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from FlagEmbedding.errors import FlagEmbeddingError, InputError, JobError
from FlagEmbedding.jobs.files import InputFile


@dataclass(frozen=True)
class Piece:
    """Some rows of a file.

    Attributes:
        file: Which.
        first: The number of its first row in the file, from 0.
        table: The columns that are wanted, text as it was read (``large_binary``); malformed rows are nulls.
        reasons: Why a row is malformed, by its place here.
        consumed: How much of the file was read by then, from 0 to 1, for an estimate of the time left.
    """

    file: InputFile
    first: int
    table: pa.Table
    reasons: Mapping[int, str]
    consumed: float

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out what the table is a slice of."""
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, self.table.schema) as writer:
            writer.write_table(self.table)
        return {**vars(self), "table": sink.getvalue().to_pybytes()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, table=pa.ipc.open_stream(state["table"]).read_all())

    def slice(self, start: int, length: int) -> Piece:
        """Return ``length`` rows from ``start`` on."""
        kept = {place - start: why for place, why in self.reasons.items() if start <= place < start + length}
        return Piece(self.file, self.first + start, self.table.slice(start, length), kept, self.consumed)


def nulls(schema: pa.Schema, rows: int) -> pa.Table:
    """Return ``rows`` rows of nothing."""
    return pa.table([pa.nulls(rows, field.type) for field in schema], schema=schema)


def binary(field_type: pa.DataType) -> pa.DataType:
    """Return the type as which a column is read: text as its bytes, which are looked at row by row later."""
    if pa.types.is_dictionary(field_type):
        field_type = field_type.value_type
    is_text = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return pa.large_binary() if any(test(field_type) for test in is_text) else field_type


def as_read(schema: pa.Schema) -> pa.Schema:
    """Return ``schema`` with text as its bytes."""
    return pa.schema([pa.field(field.name, binary(field.type)) for field in schema])


def missing(column: str, file: InputFile, known: list[str]) -> InputError:
    """Return the error for a column that a file does not have."""
    return InputError(f"{file.path} has no column {column!r} (columns: {', '.join(known) or 'none'}).")


@contextlib.contextmanager
def reading(file: InputFile, where: str = "") -> Iterator[None]:
    """Say which file, and which place in it, cannot be read; what is ours passes."""
    try:
        yield
    except FlagEmbeddingError:
        raise
    except (OSError, ValueError, TypeError, KeyError, EOFError, pa.ArrowException) as error:
        raise JobError(
            f"{file.path} cannot be read{where}: {str(error).strip()} Finished shards stay. A file that is repaired is "
            f"another input, which needs another output; so does the input without this file."
        ) from error
