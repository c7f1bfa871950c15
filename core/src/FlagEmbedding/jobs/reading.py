"""The input as one sequence of rows, file after file."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from FlagEmbedding.jobs import lines, parquet, tables
from FlagEmbedding.jobs.files import InputFile, find_files
from FlagEmbedding.jobs.pieces import Piece
from FlagEmbedding.jobs.settings import EmbedJob

_READERS: dict[str, Callable[[InputFile, pa.Schema, int], Iterator[Piece]]] = {
    "parquet": parquet.read,
    "jsonl": lines.read_json,
    "csv": tables.read_csv,
    "tsv": tables.read_csv,
    "text": lines.read_text,
}


@dataclass(frozen=True)
class Input:
    """Files and the columns that are wanted of them.

    Attributes:
        files: In order.
        schema: The columns, with the types that the first file gives them; the text is the first.
        counts: How many rows each file has, where that is known without reading it (Parquet), else None.
    """

    files: tuple[InputFile, ...]
    schema: pa.Schema
    counts: tuple[int | None, ...]

    @property
    def rows(self) -> int | None:
        """How many rows there are; None where only reading all of them tells."""
        known = [count for count in self.counts if count is not None]
        return sum(known) if len(known) == len(self.counts) else None

    def read(self, start: int) -> Iterator[tuple[int, Piece]]:
        """Yield pieces from row ``start`` on, each with the number of its first row; what is before is passed by.

        Raises:
            InputError: A file has other columns than the first.
            JobError: A file cannot be read.
        """
        before = 0
        for file, count in zip(self.files, self.counts, strict=True):
            rows = count or 0
            if count is None or before + count > start:
                # A file whose rows nobody has counted is read from its beginning.
                skipped = 0 if count is None else max(0, start - before)
                for piece in _READERS[file.format](file, self.schema, skipped):
                    rows = piece.first + len(piece)
                    yield from _from(start, before + piece.first, piece)
            before += rows

    def done(self, piece: Piece) -> float:
        """Return how much of the input is read with ``piece``, from 0 to 1, by size."""
        return (self._before[piece.file.path] + piece.consumed * piece.file.size) / max(1, self._before[""])

    @functools.cached_property
    def _before(self) -> dict[str, int]:
        """The bytes before each file; under no name those of all."""
        sizes = itertools.accumulate((file.size for file in self.files), initial=0)
        return dict(zip([*(file.path for file in self.files), ""], sizes, strict=True))


def _from(start: int, number: int, piece: Piece) -> Iterator[tuple[int, Piece]]:
    """Yield what there is of ``piece``, whose first row has a number, from row ``start`` on."""
    skipped = max(0, start - number)
    if skipped < len(piece):
        yield number + skipped, piece.slice(skipped, len(piece) - skipped)


def find_input(job: EmbedJob) -> Input:
    """Return what ``job`` reads.

    Raises:
        InputError: There is no such file, it has no such column, or one of a type that is no text.
        JobError: A file cannot be read.
    """
    files = tuple(find_files(job.inputs, job.format, hashed=job.hash_input))
    others = list(dict.fromkeys(name for name in (job.id_column, *job.columns) if name and name != job.text_column))
    counts = tuple(parquet.count(file) if file.format == "parquet" else None for file in files)
    return Input(files, _schema(files[0], job.text_column, others), counts)


def _schema(file: InputFile, text: str, others: list[str]) -> pa.Schema:
    if file.format == "parquet":
        return parquet.wanted_schema(file, text, others)
    find = {"jsonl": lines.json_schema, "text": lines.text_schema}.get(file.format, tables.csv_schema)
    return find(file, text, others)
