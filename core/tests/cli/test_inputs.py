"""What the commands read, and the rows that they write for it."""

from __future__ import annotations

import json

import click
import pytest
from click.testing import CliRunner

from FlagEmbedding.cli.inputs import input_options, rows
from FlagEmbedding.errors import InputError

LONG = "x" * 200_000  # Python's own limit of a field of CSV is 131072 characters


@click.command
@input_options
def command(text, source, kind, column):
    for row in rows(text, source, kind, column, adds=("score", "index")):
        click.echo(row.line(said=row.text), nl=False)


@pytest.fixture
def read(tmp_path):
    """``read(content, "csv")`` gives the rows that are written for those of a file of that format."""

    def written(content, kind="txt", *arguments):
        path = tmp_path / f"in.{kind}"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        done = CliRunner().invoke(command, ["-i", str(path), *arguments], catch_exceptions=False)
        return [json.loads(line) for line in done.output.splitlines()]

    return written


def test_a_row_is_written_as_it_was_read(read):
    """Its own text too, where that is not what was asked about."""
    row = {"text": "a title", "body": "a river", "n": 1.5, "none": None, "list": ["東京"]}
    assert read(json.dumps(row), "jsonl", "--column", "body") == [{**row, "said": "a river"}]
    assert read("text,body\na title,a river\n", "csv", "--column", "body") == [
        {"text": "a title", "body": "a river", "said": "a river"}
    ]


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("jsonl", '{"text": "a"}\n{"text": \n', r"line 2 of \S+ is no JSON: "),
        ("jsonl", '["a"]\n', r"line 1 of \S+ is no JSON object\.$"),
        ("jsonl", '{"text": null}\n', r"line 1 of \S+ has no text in the column 'text' \(columns: text\)"),
        ("jsonl", '{"text": "a", "score": 1}\n', r"line 1 of \S+ has a column 'score' of its own, and .*Rename"),
        ("jsonl", '{"text": "a"}\n{"text": "b", "index": 0}\n', r"line 2 of \S+ has a column 'index' of its own"),
        ("csv", "text,score\na,1\n", r"line 2 of \S+ has a column 'score' of its own"),
        ("csv", "id,text\n1,a,b\n", r"line 2 of \S+ has more columns than the first"),
        ("tsv", 'id\ttext\n1\t"a"b\n', r"line 2 of \S+ is no CSV: "),
        ("csv", "id,body\n1,a\n", r"line 2 of \S+ has no text in the column 'text' \(columns: id, body\)"),
    ],
)
def test_rows_that_cannot_be_read(read, kind, content, message):
    with pytest.raises(InputError, match=f"^{message}"):
        read(content, kind)


@pytest.mark.parametrize(
    ("kind", "content"), [("txt", "a river\n"), ("jsonl", '{"text": "a river"}\n'), ("csv", "text\na river\n")]
)
def test_a_byte_order_mark_is_no_part_of_the_first_column(read, kind, content):
    """Excel's "CSV UTF-8" begins with one."""
    expected = [{"text": "a river", "said": "a river"}]
    assert read(content.encode("utf-8-sig"), kind) == expected == read(content, kind)


def test_a_long_text_of_a_table(read):
    assert read(f'id,text\n1,"{LONG}"\n', "csv") == [{"id": "1", "text": LONG, "said": LONG}]


@pytest.mark.parametrize("blank", ["\n", "  \t\r\n", "\n\n"])
def test_blank_lines_between_rows_and_at_the_end(read, blank):
    content = f'{blank}{{"text": "a"}}\n{blank}{{"text": "b"}}\n{blank}'
    assert [row["said"] for row in read(content, "jsonl")] == ["a", "b"]
    number = 1 + blank.count("\n")
    with pytest.raises(InputError, match=f"^line {number} of "):
        read(f"{blank}no JSON\n", "jsonl")


def test_a_blank_line_of_text_is_a_text(read):
    assert [row["text"] for row in read("a\n\nb\r\n")] == ["a", "", "b"]
