"""Parquet in: row group by row group, so that what comes before a row need not be read."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.parquet as pq

from FlagEmbedding.errors import InputError
from FlagEmbedding.jobs.files import InputFile
from FlagEmbedding.jobs.pieces import Piece, as_read, binary, missing, reading

_ROWS = 4096


def count(file: InputFile) -> int:
    """Return how many rows the file has, from its footer."""
    with reading(file), _opened(file) as parquet:
        return int(parquet.metadata.num_rows)


def wanted_schema(file: InputFile, text: str, others: Iterable[str]) -> pa.Schema:
    """Return the types of the columns that are wanted; a dictionary counts as what it holds.

    Raises:
        InputError: The file has no such column, or the text is none.
    """
    with reading(file), _opened(file) as parquet:
        found = parquet.schema_arrow
    for column in (text, *others):
        if column not in found.names:
            raise missing(column, file, found.names)
    if binary(found.field(text).type) not in (pa.large_binary(), pa.binary()):
        raise InputError(f"the column {text!r} of {file.path} holds {found.field(text).type}, no text.")
    return pa.schema([(text, pa.string()), *((name, _plain(found.field(name).type)) for name in others)])


def _plain(found: pa.DataType) -> pa.DataType:
    return pa.string() if binary(found) == pa.large_binary() else found


def read(file: InputFile, schema: pa.Schema, start: int) -> Iterator[Piece]:
    """Yield the rows of ``file`` from ``start`` on.

    Args:
        file: A Parquet file.
        schema: The columns that are wanted.
        start: The first row.

    Raises:
        InputError: It has no such column, or one of another type.
        JobError: It is damaged.
    """
    wanted = as_read(schema)
    with reading(file), _opened(file) as parquet:
        _check(file, parquet.schema_arrow, schema)
        first = 0
        for group in range(parquet.num_row_groups):
            rows = parquet.metadata.row_group(group).num_rows
            if first + rows > start:
                yield from _group(file, parquet, group, wanted, first, start)
            first += rows


def _group(
    file: InputFile, parquet: pq.ParquetFile, group: int, wanted: pa.Schema, first: int, start: int
) -> Iterator[Piece]:
    total = max(1, parquet.metadata.num_rows)
    end = first + parquet.metadata.row_group(group).num_rows
    with reading(file, f" in row group {group} (rows {first} to {end - 1})"):
        for batch in parquet.iter_batches(_ROWS, row_groups=[group], columns=wanted.names, use_threads=False):
            skipped = min(max(0, start - first), batch.num_rows)
            table = pa.Table.from_batches([batch]).slice(skipped).select(wanted.names).cast(wanted)
            first += batch.num_rows
            if table.num_rows:
                yield Piece(file, first - table.num_rows, table, {}, first / total)


@contextlib.contextmanager
def _opened(file: InputFile) -> Iterator[pq.ParquetFile]:
    # Not read ahead: a column of a row group at a time is what memory should hold.
    with file.open() as source, pq.ParquetFile(source, pre_buffer=False, page_checksum_verification=True) as parquet:
        yield parquet


def _check(file: InputFile, found: pa.Schema, schema: pa.Schema) -> None:
    for field in schema:
        if field.name not in found.names:
            raise missing(field.name, file, found.names)
        has = found.field(field.name).type
        if binary(has) != binary(field.type) and not (pa.types.is_binary(has) and pa.types.is_string(field.type)):
            raise InputError(
                f"the column {field.name!r} of {file.path} holds {has}, and {field.type} is what is needed: "
                f"the first file has it so, or it is the text. Cast one of them, or leave the column out."
            )
