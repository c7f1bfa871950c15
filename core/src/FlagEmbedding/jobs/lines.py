"""Text a line, and JSON a line, which pyarrow parses; a line that it refuses is found by halving."""

from __future__ import annotations

import functools
import io
import re
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.json

from FlagEmbedding.errors import InputError
from FlagEmbedding.jobs.files import InputFile
from FlagEmbedding.jobs.pieces import Piece, as_read, missing, nulls, reading

_LINES = 4096
_BYTES = 4 * 2**20

_PLACE = re.compile(r"( in row \d+|, line \d+.*)$")  # within what was parsed together, which says nothing to a reader


def read_text(file: InputFile, schema: pa.Schema, start: int) -> Iterator[Piece]:
    """Yield the lines of a text file from ``start`` on, as the one column of ``schema``."""
    with reading(file):
        for first, lines, consumed in _blocks(file, start):
            texts = pa.array([line.rstrip(b"\r\n") for line in lines], pa.large_binary())
            yield Piece(file, first, pa.table([texts], schema=as_read(schema)), {}, consumed)


def read_json(file: InputFile, schema: pa.Schema, start: int) -> Iterator[Piece]:
    """Yield the rows of a file of JSON lines from ``start`` on; blank lines are none.

    A line that is no JSON object with ``schema``'s types is a row with a reason.
    """
    with reading(file):
        for first, lines, consumed in _blocks(file, start, blank=False):
            tables: list[pa.Table] = []
            reasons: dict[int, str] = {}
            for table, reason in _parsed(lines, schema):
                if reason:
                    reasons[sum(part.num_rows for part in tables)] = reason
                tables.append(table)
            yield Piece(file, first, pa.concat_tables(tables), reasons, consumed)


def json_schema(file: InputFile, text: str, others: Iterable[str]) -> pa.Schema:
    """Return the types that the first lines give to columns; text is text whatever they hold.

    Raises:
        InputError: None of the first lines has such a column.
    """
    with reading(file):
        _, lines, _ = next(_blocks(file, 0, blank=False), (0, [], 0.0))
        try:
            found = _table(lines).schema
        except pa.ArrowInvalid:  # some lines are malformed, or do not agree: the first that can say it
            found = functools.reduce(_widened, map(_loose, lines), pa.schema([]))
    for column in (text, *others):
        if column not in found.names:
            raise missing(column, file, found.names)
    return pa.schema([(text, pa.string()), *((name, _plain(found.field(name).type)) for name in others)])


def _plain(found: pa.DataType) -> pa.DataType:
    """Return the type of a column: no guesses at times that a later line may not confirm, and text for only nulls."""
    return pa.string() if pa.types.is_timestamp(found) or pa.types.is_null(found) else found


def _loose(line: bytes) -> pa.Schema:
    try:
        return _table([line]).schema
    except pa.ArrowInvalid:
        return pa.schema([])


def _widened(found: pa.Schema, more: pa.Schema) -> pa.Schema:
    """Return the types that lines agree on; one that does not fit changes nothing."""
    try:
        return pa.unify_schemas([found, more], promote_options="permissive")
    except pa.ArrowTypeError:
        return found


def _parsed(lines: list[bytes], schema: pa.Schema) -> Iterator[tuple[pa.Table, str]]:
    """Yield tables of the rows of ``lines``, in order, each with why it is a row of nothing, or nothing to say."""
    try:
        table = _table(lines, schema)
    except pa.ArrowInvalid as error:
        if len(lines) == 1:
            yield nulls(as_read(schema), 1), f"no JSON object of the types needed: {_PLACE.sub('', str(error).strip())}"
            return
        half = len(lines) // 2
        yield from _parsed(lines[:half], schema)
        yield from _parsed(lines[half:], schema)
    else:
        yield table.select(schema.names).cast(as_read(schema)), ""


def _table(lines: list[bytes], schema: pa.Schema | None = None) -> pa.Table:
    """Parse one object a line.

    Raises:
        ArrowInvalid: Some line is none, or none of ``schema``.
    """
    text = b"".join(lines)
    options = pyarrow.json.ReadOptions(use_threads=False, block_size=len(text) + 1)
    parsing = pyarrow.json.ParseOptions(
        explicit_schema=schema, unexpected_field_behavior="infer" if schema is None else "ignore"
    )
    table = pyarrow.json.read_json(io.BytesIO(text), options, parsing)
    if table.num_rows != len(lines):
        raise pa.ArrowInvalid(f"{table.num_rows} objects in {len(lines)} lines")
    return table


def _blocks(file: InputFile, start: int, *, blank: bool = True) -> Iterator[tuple[int, list[bytes], float]]:
    """Yield lines from number ``start`` on, some megabytes at a time, with the number of the first."""
    first, lines, size = 0, [], 0
    with file.open() as raw, _decompressed(raw, file) as stream:
        for line in stream:
            if not (blank or line.strip()):
                continue
            if first < start:
                first += 1
                continue
            lines.append(line)
            size += len(line)
            if len(lines) == _LINES or size >= _BYTES:
                yield first, lines, raw.tell() / max(1, file.size)
                first, lines, size = first + len(lines), [], 0
    if lines:
        yield first, lines, 1.0


def _decompressed(raw: pa.NativeFile, file: InputFile) -> io.BufferedReader:
    stream = pa.CompressedInputStream(raw, file.compression) if file.compression else raw
    return io.BufferedReader(stream, 2**20)


def text_schema(file: InputFile, text: str, others: Iterable[str]) -> pa.Schema:
    """Return the one column of a text file.

    Raises:
        InputError: Another one is asked for.
    """
    for column in others:
        raise InputError(f"{file.path} is a text file, which has no column {column!r}; its rows are numbered.")
    return pa.schema([(text, pa.string())])
