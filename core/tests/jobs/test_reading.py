"""Every format gives the same rows; what is no row has a reason, in its place."""

from __future__ import annotations

import bz2
import gzip
import json

import pytest

pytest.importorskip("pyarrow", reason="needs flagembedding-core[jobs]")

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from FlagEmbedding.errors import InputError, JobError
from FlagEmbedding.jobs.blocks import Cut, blocks
from FlagEmbedding.jobs.reading import find_input
from FlagEmbedding.jobs.rows import looked_at
from FlagEmbedding.jobs.settings import EmbedJob

ROWS = [("a", "the river"), ("b", "stone, light"), ("c", 'a "garden"\nin two lines'), ("d", "東京 zürich"), ("e", "")]


def write_parquet(folder):
    path = folder / "rows.parquet"
    pq.write_table(pa.table({"id": [row[0] for row in ROWS], "text": [row[1] for row in ROWS]}), path, row_group_size=2)
    return path


def write_jsonl(folder, name="rows.jsonl"):
    path = folder / name
    lines = [json.dumps({"id": one, "text": text}) for one, text in ROWS]
    path.write_text("\n".join([*lines[:2], "", *lines[2:]]), encoding="utf-8")  # a blank line, and no end of line
    return path


def write_csv(folder, delimiter=",", name="rows.csv"):
    path = folder / name
    table = pa.table({"text": [row[1] for row in ROWS], "id": [row[0] for row in ROWS]})
    pyarrow.csv.write_csv(table, path, pyarrow.csv.WriteOptions(delimiter=delimiter))
    return path


def compressed(path, module, suffix):
    packed = path.with_name(path.name + suffix)
    packed.write_bytes(module.compress(path.read_bytes()))
    return packed


WRITERS = {
    "parquet": write_parquet,
    "jsonl": write_jsonl,
    "csv": write_csv,
    "tsv": lambda folder: write_csv(folder, "\t", "rows.tsv"),
    "jsonl.gz": lambda folder: compressed(write_jsonl(folder), gzip, ".gz"),
    "csv.bz2": lambda folder: compressed(write_csv(folder), bz2, ".bz2"),
}


def rows_of(job, shards=range(10**6), shard=1000, block=2):
    """Return numbers, texts, other columns and rejects of everything a job reads."""
    source = find_input(job)
    found = [looked_at(each, source.schema, job) for each in blocks(source, Cut(shard, block), shards)]
    numbers = [number for rows in found for number in rows.numbers.tolist()]
    texts = [text for rows in found for text in rows.texts]
    others = [row for rows in found for row in rows.table.to_pylist()]
    rejects = [(reject.row, reject.file_row, reject.reason) for rows in found for reject in rows.rejects]
    return numbers, texts, others, rejects


def job_of(*paths, **options):
    return EmbedJob(tuple(map(str, paths)), "out", "model", **{"on_error": "reject", **options})


@pytest.mark.parametrize("kind", WRITERS)
def test_every_format_gives_the_same_rows(kind, tmp_path):
    numbers, texts, others, rejects = rows_of(job_of(WRITERS[kind](tmp_path), id_column="id"))
    assert (numbers, texts, rejects) == ([0, 1, 2, 3, 4], [text for _, text in ROWS], [])
    assert [row["id"] for row in others] == [one for one, _ in ROWS]


@pytest.mark.parametrize("start", range(6))
@pytest.mark.parametrize("kind", WRITERS)
def test_reading_begins_at_any_shard(kind, start, tmp_path):
    path = WRITERS[kind](tmp_path)
    numbers, texts, _, _ = rows_of(job_of(path), range(start, 6), shard=1)
    assert (numbers, texts) == ([*range(start, 5)], [text for _, text in ROWS[start:]])


def test_a_text_file_has_a_text_a_line(tmp_path):
    (tmp_path / "rows.txt").write_bytes(b"the river\r\n\nstone\xff\nlight")
    numbers, texts, _, rejects = rows_of(job_of(tmp_path / "rows.txt"))
    assert (numbers, texts) == ([0, 1, 3], ["the river", "", "light"])
    assert rejects == [(2, 2, "the column 'text' is no valid UTF-8")]


def test_files_of_a_folder_and_a_glob_come_by_name_and_arguments_as_given(tmp_path):
    for name in ("b.txt", "a.txt", "sub/c.txt", "_notes.txt", ".hidden.txt", "other.log"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    assert rows_of(job_of(tmp_path))[1] == ["a.txt", "b.txt", "sub/c.txt"]
    assert rows_of(job_of(tmp_path / "b.txt", tmp_path / "a*.txt"))[1] == ["b.txt", "a.txt"]


def test_a_file_that_is_named_twice_is_refused(tmp_path):
    (tmp_path / "a.txt").write_text("the river")
    with pytest.raises(InputError, match=r"a\.txt is named twice"):
        find_input(job_of(tmp_path / "a.txt", tmp_path / "*.txt"))


@pytest.mark.parametrize(("name", "message"), [("absent.csv", "names no file"), ("nothing*.csv", "names no file")])
def test_an_input_that_is_not_there(tmp_path, name, message):
    with pytest.raises(InputError, match=message):
        find_input(job_of(tmp_path / name))


def test_a_format_that_is_not_known_by_its_name(tmp_path):
    (tmp_path / "rows.dat").write_text("the river\nstone")
    with pytest.raises(InputError, match=r"format of .*rows\.dat is not known by its name.*parquet"):
        find_input(job_of(tmp_path / "rows.dat"))
    assert rows_of(job_of(tmp_path / "rows.dat", format="text"))[1] == ["the river", "stone"]


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_a_column_that_is_not_there_names_those_that_are(kind, tmp_path):
    with pytest.raises(InputError, match=r"no column 'title' \(columns: (id, text|text, id)\)"):
        find_input(job_of(WRITERS[kind](tmp_path), columns=("title",)))


def test_a_text_file_has_no_other_column(tmp_path):
    (tmp_path / "a.txt").write_text("the river")
    with pytest.raises(InputError, match="a text file, which has no column 'title'"):
        find_input(job_of(tmp_path / "a.txt", columns=("title",)))


def test_a_text_column_of_numbers_is_refused_at_once(tmp_path):
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match="holds int64, no text"):
        find_input(job_of(tmp_path / "a.parquet"))


def test_files_must_agree_in_their_types(tmp_path):
    pq.write_table(pa.table({"text": ["a"], "n": [1]}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": ["b"], "n": ["one"]}), tmp_path / "b.parquet")
    with pytest.raises(InputError, match=r"'n' of .*b\.parquet holds string, and int64 is what is needed"):
        rows_of(job_of(tmp_path, columns=("n",)))


def test_dictionaries_and_large_strings_are_texts(tmp_path):
    pq.write_table(pa.table({"text": pa.array(["a", "b", "a"]).dictionary_encode()}), tmp_path / "a.parquet")
    pq.write_table(pa.table({"text": pa.array(["c", None], pa.large_string())}), tmp_path / "b.parquet")
    numbers, texts, _, rejects = rows_of(job_of(tmp_path))
    assert (numbers, texts, rejects) == ([0, 1, 2, 3], ["a", "b", "a", "c"], [(4, 1, "the text is null")])


def test_lines_that_are_no_json_are_rejects_in_their_places(tmp_path):
    lines = [{"id": 1, "text": "the"}, '{"id": 2, "text": "cut', {"id": 3, "text": 7}, "[1]",
             {"id": 5, "text": "light"},
             {"id": 6, "text": None}, {"id": "seven", "text": "x"}, '{"id": 8, "text": "y"} {"id": 9, "text": "z"}',
             {"text": "no id"}, {"id": 11, "text": "last"}]  # fmt: skip
    written = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    (tmp_path / "a.jsonl").write_text("\n".join(written) + "\n")
    numbers, texts, others, rejects = rows_of(job_of(tmp_path / "a.jsonl", id_column="id"))
    assert (numbers, texts) == ([0, 4, 9], ["the", "light", "last"])
    assert [row["id"] for row in others] == [1, 5, 11]
    assert [(row, file_row) for row, file_row, _ in rejects] == [(place, place) for place in (1, 2, 3, 5, 6, 7, 8)]
    reasons = [reason for _, _, reason in rejects]
    assert (reasons[3], reasons[6]) == ("the text is null", "the id is null")
    assert "string to number" in reasons[1]
    assert reasons[5].endswith("2 objects in 1 lines")
    assert all(" in row" not in reason for reason in reasons)


def test_json_that_looks_like_a_time_stays_text(tmp_path):
    lines = [{"text": "a", "day": "2024-01-01"}, {"text": "b", "day": "someday"}, {"text": "c", "day": None}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert [row["day"] for row in rows_of(job_of(tmp_path / "a.jsonl", columns=("day",)))[2]] == [
        "2024-01-01", "someday", None,
    ]  # fmt: skip


def test_rows_of_a_csv_with_other_columns_are_rejects_in_their_places(tmp_path):
    lines = [
        "id,text",
        "1,the",
        "2,river,more",
        "3,stone",
        "",
        "4",
        "5,light",
        '6,"two\nlines"',
        "7,x,y,z",
        "8,last",
        "9",
    ]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    numbers, texts, others, rejects = rows_of(job_of(tmp_path / "a.csv", id_column="id"))
    assert (numbers, texts) == ([0, 2, 4, 5, 7], ["the", "stone", "light", "two\nlines", "last"])
    assert [row["id"] for row in others] == ["1", "3", "5", "6", "8"]
    assert rejects == [
        (1, 1, "the row has 3 columns, and the file 2"),
        (3, 3, "the row has 1 columns, and the file 2"),
        (6, 6, "the row has 4 columns, and the file 2"),
        (8, 8, "the row has 1 columns, and the file 2"),
    ]


def test_a_csv_of_many_parts_keeps_its_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr("FlagEmbedding.jobs.tables._BYTES", 64)
    lines = [f"{number},text {number}" + (",more" if number % 7 == 3 else "") for number in range(100)]
    (tmp_path / "a.csv").write_text("\n".join(["id,text", *lines]) + "\n")
    numbers, _, others, rejects = rows_of(job_of(tmp_path / "a.csv", id_column="id"), block=10)
    assert [int(row["id"]) for row in others] == numbers == [number for number in range(100) if number % 7 != 3]
    assert [row for row, _, _ in rejects] == [number for number in range(100) if number % 7 == 3]


def test_too_long_and_not_unicode(tmp_path):
    (tmp_path / "a.csv").write_bytes(b"id,text\n1,z\xc3\xbcrich\n\xfe,river\n3,gardens\n4,\xff\n")
    numbers, _, _, rejects = rows_of(job_of(tmp_path / "a.csv", id_column="id", max_characters=6))
    assert numbers == [0]
    assert [reason for _, _, reason in rejects] == [
        "the column 'id' is no valid UTF-8",
        "the text has more than 6 characters",
        "the column 'text' is no valid UTF-8",
    ]


def test_shards_and_blocks_are_cut_by_row_numbers(tmp_path):
    for name, count in (("a.txt", 3), ("b.txt", 0), ("c.txt", 5), ("d.txt", 2)):
        (tmp_path / name).write_text("".join(f"{name} {number}\n" for number in range(count)))
    source = find_input(job_of(tmp_path))
    found = [(block.shard, block.first, len(block), block.last) for block in blocks(source, Cut(4, 3), range(9))]
    assert found == [(0, 0, 3, False), (0, 3, 1, True), (1, 4, 3, False), (1, 7, 1, True), (2, 8, 2, True)]
    assert [block.first for block in blocks(source, Cut(4, 3), range(1, 2))] == [4, 7]


def test_a_damaged_file_says_where(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing more")
    with pytest.raises(JobError, match=r"a\.parquet cannot be read"):
        find_input(job_of(tmp_path / "a.parquet"))
