"""Good rows and bad ones: a row without a text that can be embedded is set aside, with the reason."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from FlagEmbedding.errors import InputError
from FlagEmbedding.jobs.blocks import Block
from FlagEmbedding.jobs.settings import EmbedJob

_SHOWN = 200  # characters of a bad text


@dataclass(frozen=True)
class Reject:
    """A row that is not embedded.

    Attributes:
        row: Its number in the whole input, from 0.
        file: Where it is.
        file_row: Its number there, from 0.
        reason: Why.
        text: The beginning of its text, where it has one.
    """

    row: int
    file: str
    file_row: int
    reason: str
    text: str | None

    def line(self) -> str:
        """Return it as a line of JSON."""
        return json.dumps(asdict(self), ensure_ascii=False) + "\n"

    def error(self) -> InputError:
        """Return what stops a job over it."""
        return InputError(
            f"row {self.row} (row {self.file_row} of {self.file}, counted from 0) cannot be embedded: {self.reason}. "
            f"Finished shards stay. Repair the input, or go on with on_error='reject', which sets such rows aside in a "
            f"file of rejects."
        )


@dataclass(frozen=True)
class Rows:
    """The rows of a block that are embedded.

    Attributes:
        numbers: Of each, in the whole input.
        texts: Of each.
        table: The other columns.
        rejects: The rows that are left out.
    """

    numbers: np.ndarray[Any, np.dtype[np.int64]]
    texts: list[str]
    table: pa.Table
    rejects: list[Reject]


def looked_at(block: Block, schema: pa.Schema, job: EmbedJob) -> Rows:
    """Return the good rows of ``block`` and the bad ones."""
    table = block.table(schema)
    reasons = _malformed(block)
    columns = {field.name: _typed(table[field.name], field, reasons) for field in schema}
    _check_values(columns, job, reasons)
    good = np.ones(table.num_rows, dtype=bool)
    good[list(reasons)] = False
    kept = pa.table(columns, schema=schema).filter(pa.array(good))
    texts = columns[job.text_column]
    bad = {place: texts[place].as_py() for place in reasons}
    numbers = block.first + np.flatnonzero(good)
    return Rows(numbers, kept[job.text_column].to_pylist(), kept, _rejected(block, reasons, bad))


def without(rows: Rows, block: Block, refused: Mapping[int, str]) -> Rows:
    """Return ``rows`` of ``block`` without those that the model refuses, by their numbers."""
    good = ~np.isin(rows.numbers, list(refused))
    texts = [text for text, kept in zip(rows.texts, good, strict=True) if kept]
    places = {number - block.first: reason for number, reason in refused.items()}
    bad = dict(zip(rows.numbers.tolist(), rows.texts, strict=True))
    more = _rejected(block, places, {place: bad[place + block.first] for place in places})
    rejects = sorted([*rows.rejects, *more], key=lambda reject: reject.row)
    return Rows(rows.numbers[good], texts, rows.table.filter(pa.array(good)), rejects)


def _rejected(block: Block, reasons: Mapping[int, str], texts: Mapping[int, str | None]) -> list[Reject]:
    """Return the bad rows of ``block`` in their order, by their places in it."""
    found, start = [], 0
    for piece in block.pieces:
        for place in sorted(place for place in reasons if start <= place < start + len(piece)):
            text = texts[place]
            shown = None if text is None else text[:_SHOWN]
            row = piece.first + place - start
            found.append(Reject(block.first + place, piece.file.path, row, reasons[place], shown))
        start += len(piece)
    return found


def _malformed(block: Block) -> dict[int, str]:
    found: dict[int, str] = {}
    start = 0
    for piece in block.pieces:
        found |= {start + place: reason for place, reason in piece.reasons.items()}
        start += len(piece)
    return found


def _typed(column: pa.ChunkedArray, field: pa.Field, reasons: dict[int, str]) -> pa.ChunkedArray:
    """Return a column with the type that is wanted; bytes that are no text become nulls with a reason."""
    try:
        return column.cast(field.type)
    except pa.ArrowInvalid:
        values = column.to_pylist()
    texts = [None if value is None else _decoded(value) for value in values]
    for place, (value, text) in enumerate(zip(values, texts, strict=True)):
        if value is not None and text is None:
            reasons.setdefault(place, f"the column {field.name!r} is no valid UTF-8")
    return pa.chunked_array([pa.array(texts, field.type)])


def _decoded(value: bytes) -> str | None:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _check_values(columns: Mapping[str, pa.ChunkedArray], job: EmbedJob, reasons: dict[int, str]) -> None:
    """Add why rows are bad that have been read well."""
    texts = columns[job.text_column]
    if job.id_column is not None:
        _add(reasons, pc.is_null(columns[job.id_column]), "the id is null")
    if job.max_characters is not None:
        long = pc.greater(pc.utf8_length(texts), job.max_characters)
        _add(reasons, pc.fill_null(long, False), f"the text has more than {job.max_characters} characters")
    _add(reasons, pc.is_null(texts), "the text is null")


def _add(reasons: dict[int, str], where: pa.ChunkedArray, reason: str) -> None:
    for place in np.flatnonzero(where.to_numpy()).tolist():
        reasons.setdefault(place, reason)
