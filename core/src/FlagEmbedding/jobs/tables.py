"""CSV in, as text: a CSV has no types, and a guess from its first rows would fail on a later one."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa
import pyarrow.csv

from FlagEmbedding.jobs.files import InputFile
from FlagEmbedding.jobs.pieces import Piece, as_read, missing, nulls, reading

_BYTES = 8 * 2**20  # a row must fit into it
_DELIMITERS = {"csv": ",", "tsv": "\t"}


def csv_schema(file: InputFile, text: str, others: Iterable[str]) -> pa.Schema:
    """Return the columns that are wanted, all of them text.

    Raises:
        InputError: The file has no such column.
    """
    with reading(file), file.open() as raw:
        found = _opened(file, raw, None, []).schema.names
    names = [text, *others]
    for column in names:
        if column not in found:
            raise missing(column, file, found)
    return pa.schema([(name, pa.string()) for name in names])


def read_csv(file: InputFile, schema: pa.Schema, start: int) -> Iterator[Piece]:
    """Yield the rows of ``file`` from ``start`` on; a line with more or fewer columns is a row with a reason."""
    csv_schema(file, schema.names[0], schema.names[1:])
    first = 0
    with reading(file), file.open() as raw:
        for table, reasons in _rows(file, raw, as_read(schema)):
            piece = Piece(file, first, table, reasons, raw.tell() / max(1, file.size))
            first += len(piece)
            skipped = min(max(0, start - piece.first), len(piece))
            if skipped < len(piece):
                yield piece.slice(skipped, len(piece) - skipped)


def _rows(file: InputFile, raw: Any, schema: pa.Schema) -> Iterator[tuple[pa.Table, dict[int, str]]]:
    """Yield tables with the malformed rows in their places; pyarrow reports those as it parses, and leaves them out."""
    malformed: list[Any] = []
    done = 0  # rows of the file, and the line of names is no row
    for batch in _opened(file, raw, schema, malformed):
        table, reasons = pa.Table.from_batches([batch]).select(schema.names), {}
        while malformed and malformed[0].number - 2 - done <= table.num_rows:
            row = malformed.pop(0)
            place = row.number - 2 - done
            reasons[place] = _reason(row)
            table = pa.concat_tables([table.slice(0, place), nulls(schema, 1), table.slice(place)])
        done += table.num_rows
        yield table, reasons
    if malformed:
        yield nulls(schema, len(malformed)), {place: _reason(row) for place, row in enumerate(malformed)}


def _reason(row: Any) -> str:
    return f"the row has {row.actual_columns} columns, and the file {row.expected_columns}"


def _opened(
    file: InputFile, raw: Any, schema: pa.Schema | None, malformed: list[Any]
) -> pyarrow.csv.CSVStreamingReader:
    def keep(row: Any) -> str:
        malformed.append(row)
        return "skip"

    stream = pa.CompressedInputStream(raw, file.compression) if file.compression else raw
    names = [] if schema is None else schema.names
    return pyarrow.csv.open_csv(
        stream,
        pyarrow.csv.ReadOptions(block_size=_BYTES, use_threads=False),
        pyarrow.csv.ParseOptions(delimiter=_DELIMITERS[file.format], newlines_in_values=True, invalid_row_handler=keep),
        pyarrow.csv.ConvertOptions(column_types=dict.fromkeys(names, pa.large_binary()), include_columns=names),
    )
