"""The page of jobs does what it says, with the real databases; their hits are those of a search through everything."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs flagembedding-core[jobs]")

import pyarrow as pa
import pyarrow.parquet as pq

from FlagEmbedding.jobs import EmbedJob, run

PAGE = (Path(__file__).resolve().parents[2] / "docs/jobs.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"(?s)```python\n(.*?)```", PAGE)
DATABASES = ["duckdb", "lancedb", "faiss", "usearch"]


def block(word: str) -> str:
    [found] = [code for code in BLOCKS if re.search(rf"(?m)^(import|from) {word}\b", code)]
    return found


@pytest.fixture
def page(tmp_path: Path, tiny: Any, tiny_hub: Any, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Run what the page runs first, where the page's corpus is; return its variables."""
    monkeypatch.chdir(tmp_path)
    texts = [f"{tiny.WORDS[number % 40]} {tiny.WORDS[number % 7]} {number}" for number in range(500)]
    (tmp_path / "corpus").mkdir()
    rows = {"doc": [f"d{number}" for number in range(500)], "title": texts, "text": texts}
    pq.write_table(pa.table(rows), tmp_path / "corpus/a.parquet")
    names: dict[str, Any] = {}
    for code in BLOCKS[:2]:
        exec(compile(code, "docs/jobs.md", "exec"), names)
    return names


@pytest.mark.parametrize("database", DATABASES)
def test_a_database_finds_what_is_nearest(database: str, page: dict[str, Any], tmp_path: Path) -> None:
    pytest.importorskip(database, reason="not installed: make jobs brings it")
    exec(compile(block(database), "docs/jobs.md", "exec"), page)
    found = page["hits"]
    hits = [(hit["id"], 1 - hit["_distance"]) if isinstance(hit, dict) else hit[:2] for hit in found]
    table = pa.concat_tables([pq.read_table(path) for path in sorted((tmp_path / "vectors").glob("part-*"))])
    vectors = np.array(table["embedding"].to_pylist())
    scores = vectors @ page["query"]
    best = np.sort(scores)[::-1][:5]
    by_id = dict(zip(table["id"].to_pylist(), scores, strict=True))
    assert len(hits) == 5
    assert [score for _, score in hits] == pytest.approx(best.tolist(), abs=1e-4)
    assert [by_id[one] for one, _ in hits] == pytest.approx(best.tolist(), abs=1e-4)


def test_the_first_block_embeds_everything(page: dict[str, Any], tmp_path: Path) -> None:
    report = page["report"]
    assert (report.rows, report.embedded) == (500, 500)
    assert pq.read_schema(tmp_path / "vectors/part-000000.parquet").names == ["id", "title", "embedding"]


def test_the_commands_of_the_page_are_understood(monkeypatch: pytest.MonkeyPatch) -> None:
    """Their options become a job; the corpora are not ours to read."""
    from click.testing import CliRunner  # noqa: PLC0415

    from FlagEmbedding.cli.main import cli  # noqa: PLC0415

    jobs: list[EmbedJob] = []
    monkeypatch.setattr("FlagEmbedding.jobs.run", lambda job: jobs.append(job) or _done(job))
    monkeypatch.setattr("FlagEmbedding.cli.embed._on_ray", lambda job, *_: jobs.append(job) or _done(job))
    lines = [line for line in PAGE.splitlines() if line.startswith("flagembedding embed ")]
    for line in lines:
        done = CliRunner().invoke(cli, shlex.split(line)[1:])
        assert done.exit_code == 0, done.output
    assert [job.model for job in jobs] == ["bge-m3", "BAAI/bge-m3"]


def _done(job: EmbedJob) -> Any:
    from FlagEmbedding.jobs import Report  # noqa: PLC0415

    return Report(job.output, 0, 0, 0, 0, 0, 0.0, 0.0)


@pytest.mark.parametrize("dtype", ["float16", "int8"])
@pytest.mark.usefixtures("page")
def test_narrow_vectors_load_too(dtype: str, tmp_path: Path) -> None:
    duckdb = pytest.importorskip("duckdb", reason="not installed: make jobs brings it")
    lancedb = pytest.importorskip("lancedb", reason="not installed: make jobs brings it")
    run(EmbedJob("corpus", "narrow", "e5-base-v2", dtype=dtype, devices="cpu", show_progress=False))
    [(count, size)] = duckdb.execute("SELECT count(*), max(len(embedding)) FROM 'narrow/part-*.parquet'").fetchall()
    assert (count, size) == (500, 32)
    shard = pq.read_table(tmp_path / "narrow/part-000000.parquet")
    assert lancedb.connect("lance").create_table("narrow", shard).count_rows() == 500


def test_the_example_searches_the_demonstrations_corpus(tmp_path: Path) -> None:
    pytest.importorskip("lancedb", reason="not installed: make jobs brings it")
    pytest.importorskip("flagembedding_minilm", reason="not installed: make jobs brings it")
    example = Path(__file__).resolve().parents[2] / "examples/stdlib_database.py"
    question = "How do I start another program and capture its output?"
    command = [sys.executable, example, question]
    first = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert first.returncode == 0, first.stderr
    hits = first.stdout.partition(question)[2]
    assert "subprocess" in hits
    again = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
    assert again.partition(question)[2] == hits
    assert "4 of them found done" in again
