"""What the commands read: lines, JSON lines, or CSV, from a file or stdin."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO, TypeVar

import click

from FlagEmbedding.errors import InputError

Command = TypeVar("Command", bound=Callable[..., Any])
Row = dict[str, Any]

_SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "tsv"}
_DELIMITERS = {"csv": ",", "tsv": "\t"}


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
        click.option("-i", "--input", "source", type=click.File(encoding="utf-8"), help="A file; - is stdin."),
        click.argument("text", nargs=-1),
    ]
    for each in add:
        command = each(command)
    return command


def rows(text: tuple[str, ...], source: TextIO | None, kind: str | None, column: str) -> Iterator[Row]:
    """Return what was given, a mapping a text, the text under ``"text"``.

    Raises:
        UsageError: Neither or both of TEXT and ``--input`` were given.
        InputError: While reading: a line is not what the format says, or has no such column.
    """
    if bool(text) == (source is not None):
        raise click.UsageError("give either TEXT or --input.")
    if source is None:
        return ({"text": each} for each in text)
    kind = kind or _SUFFIXES.get(Path(source.name).suffix.lower(), "text")
    if kind == "text":
        return ({"text": line.rstrip("\r\n")} for line in source)
    found = _json_rows(source) if kind == "jsonl" else _table_rows(source, _DELIMITERS[kind])
    return _with_text(found, source.name, column)


def _json_rows(source: TextIO) -> Iterator[tuple[int, Row]]:
    for number, line in enumerate(source, 1):
        try:
            row = json.loads(line)
        except ValueError as error:
            raise InputError(f"line {number} of {source.name} is no JSON: {error}") from error
        if not isinstance(row, dict):
            raise InputError(f"line {number} of {source.name} is no JSON object.")
        yield number, row


def _table_rows(source: TextIO, delimiter: str) -> Iterator[tuple[int, Row]]:
    reader = csv.DictReader(source, delimiter=delimiter, strict=True)
    try:
        for row in reader:
            if None in row:
                raise InputError(f"line {reader.line_num} of {source.name} has more columns than the first.")
            yield reader.line_num, row
    except csv.Error as error:
        raise InputError(f"line {reader.line_num} of {source.name} is no CSV: {error}") from error


def _with_text(found: Iterable[tuple[int, Row]], name: str, column: str) -> Iterator[Row]:
    for number, row in found:
        value = row.get(column)
        if not isinstance(value, str):
            known = ", ".join(map(str, row)) or "none"
            problem = f"line {number} of {name} has no text in the column {column!r} (columns: {known})"
            raise InputError(f"{problem}. Name the column with --column.")
        yield {**row, "text": value}
