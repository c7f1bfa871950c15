"""What the commands read: lines, JSON lines, or CSV, from a file or stdin."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TextIO, TypeVar

import click

from FlagEmbedding.errors import InputError

Command = TypeVar("Command", bound=Callable[..., Any])
Columns = dict[str, Any]

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
_DELIMITERS = {"csv": ",", "tsv": "\t"}
# Characters of a field of CSV: as many as every platform's C long holds, for Python's own limit is that of a page.
_FIELD = 2**31 - 1


class Row(NamedTuple):
    """A text, and the columns of its row as they were read; the text is one of them."""

    text: str
    columns: Columns

    def line(self, **added: Any) -> str:
        """Return the row with what was found for it, as a line of JSON."""
        return json.dumps({**self.columns, **added}, ensure_ascii=False) + "\n"


def input_options(command: Command) -> Command:
    """Give a command TEXT, ``--input``, ``--format`` and ``--column``; :func:`rows` reads what they say."""
    add: list[Callable[[Command], Command]] = [
        click.option("--column", default="text", show_default=True, help="Where a row of JSON or CSV has its text."),
        click.option(
            "--format",
            "kind",
            type=click.Choice(["text", "jsonl", "csv", "tsv"]),
            help="Of --input; default: by the file's name, else a text a line.",
        ),
        # A byte order mark, which Excel writes, is no part of the first column's name.
        click.option("-i", "--input", "source", type=click.File(encoding="utf-8-sig"), help="A file; - is stdin."),
        click.argument("text", nargs=-1),
    ]
    for each in add:
        command = each(command)
    return command


def rows(
    text: tuple[str, ...], source: TextIO | None, kind: str | None, column: str, adds: Sequence[str]
) -> Iterator[Row]:
    """Return what was given, a row a text; a line, or a TEXT, is a row with the one column ``"text"``.

    Args:
        text: The TEXTs.
        source: The file.
        kind: Its format; None means by its name.
        column: Where a row has its text.
        adds: The columns that the command adds to a row, so that it may have none of that name.

    Raises:
        UsageError: Neither or both of TEXT and ``--input`` were given.
        InputError: While reading: a line is not UTF-8 or not what the format says, has no such column, or one of
            ``adds``.
    """
    if bool(text) == (source is not None):
        raise click.UsageError("give either TEXT or --input.")
    if source is None:
        return (Row(each, {"text": each}) for each in text)
    kind = kind or _SUFFIXES.get(Path(source.name).suffix.lower(), "text")
    if kind == "text":
        return (Row(line, {"text": line}) for line in (line.rstrip("\r\n") for line in _lines(source)))
    found = _json_rows(source) if kind == "jsonl" else _table_rows(source, _DELIMITERS[kind])
    return _with_text(found, source.name, column, adds)


def _lines(source: TextIO) -> Iterator[str]:
    try:
        for line in source:  # noqa: UP028 - "yield from" would close it, and it may be stdin
            yield line
    except UnicodeDecodeError as error:
        raise InputError(f"{source.name} is not UTF-8 ({error}). Convert it, with iconv for instance.") from error


def _json_rows(source: TextIO) -> Iterator[tuple[int, Columns]]:
    for number, line in enumerate(_lines(source), 1):
        if line.isspace():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"line {number} of {source.name} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"line {number} of {source.name} is no JSON object.")
        yield number, row


def _table_rows(source: TextIO, delimiter: str) -> Iterator[tuple[int, Columns]]:
    csv.field_size_limit(_FIELD)
    reader = csv.DictReader(_lines(source), delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if None in row:
                raise InputError(f"line {reader.line_num} of {source.name} has more columns than the first.")
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"line {reader.reader.line_num} of {source.name} is no CSV: {error}") from error


def _with_text(found: Iterable[tuple[int, Columns]], name: str, column: str, adds: Sequence[str]) -> Iterator[Row]:
    for number, row in found:
        value = row.get(column)
        if not isinstance(value, str):
            known = ", ".join(map(str, row)) or "none"
            problem = f"line {number} of {name} has no text in the column {column!r} (columns: {known})"
            raise InputError(f"{problem}. Name the column with --column.")
        for added in adds:
            if added in row:
                raise InputError(
                    f"line {number} of {name} has a column {added!r} of its own, and this command adds one of that "
                    f"name to each row. Rename or remove it."
                )
        yield Row(value, row)
