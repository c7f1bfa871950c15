"""kill -9 at random moments: in the end there is what an uninterrupted run gives, nothing lost, nothing twice."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs flagembedding-core[jobs]")

import pyarrow as pa
import pyarrow.parquet as pq

KILLS = int(os.environ.get("FLAGEMBEDDING_TEST_KILLS", "8"))
TEXTS, SHARD = 20_000, 400
SEED = 20240229


class Zygote:
    """See ``zygote.py``."""

    def __init__(self):
        self._process = subprocess.Popen(
            [sys.executable, Path(__file__).with_name("zygote.py")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._line() == "ready"

    def _say(self, line):
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()

    def _line(self):
        line = self._process.stdout.readline().strip()
        assert line, self._process.stderr.read()
        return line

    def run(self, job, kill_after=None):
        """Run a job, killed after so many seconds; return how it ended and how long it took."""
        start = time.perf_counter()
        self._say(json.dumps(job))
        number = int(self._line())
        if kill_after is not None:
            time.sleep(kill_after)
            os.kill(number, signal.SIGKILL)  # a zombie if it is over: its number is nobody else's until it is awaited
        self._say("wait")
        return int(self._line()), time.perf_counter() - start

    def close(self):
        self._process.communicate(timeout=30)


@pytest.fixture
def zygote():
    one = Zygote()
    yield one
    one.close()


@pytest.fixture
def job(tmp_path, checkpoint, tiny):
    """The job without its output: texts of a word and a number, some of them bad, in CSV, Parquet and JSON lines."""
    draw = random.Random(SEED)
    rows = [{"doc": f"d{n}", "text": f"{draw.choice(tiny.WORDS)} {n}"} for n in range(TEXTS)]
    for place in range(7, TEXTS, 1999):
        rows[place]["text"] = None
    third = TEXTS // 3
    pq.write_table(pa.Table.from_pylist(rows[:third]), tmp_path / "a.parquet", row_group_size=1000)
    lines = "".join(json.dumps(row) + "\n" for row in rows[third:])
    (tmp_path / "b.jsonl").write_text(lines)
    inputs = [str(tmp_path / "a.parquet"), str(tmp_path / "b.jsonl")]
    return {
        "inputs": inputs, "model": str(checkpoint("bert")), "id_column": "doc", "columns": ["text"], "devices": ["cpu"],
        "shard_size": SHARD, "block_size": 200, "on_error": "reject", "show_progress": False,
    }  # fmt: skip


def contents(folder):
    """Return names, rows without vectors, vectors, and the rejects of an output."""
    tables = {path.name: pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))}
    rows = {name: table.drop(["embedding"]).to_pylist() for name, table in tables.items()}
    vectors = np.concatenate([np.asarray(table["embedding"].combine_chunks().flatten()) for table in tables.values()])
    return rows, vectors, {path.name: path.read_text() for path in sorted(folder.glob("rejects-*"))}


def test_killed_and_started_again_a_job_gives_what_it_gives_uninterrupted(zygote, job, tmp_path, capsys):
    ended, seconds = zygote.run({**job, "output": str(tmp_path / "whole")})
    assert ended == 0
    rows, vectors, rejects = contents(tmp_path / "whole")
    ids = [row["id"] for part in rows.values() for row in part]
    bad = [f"d{n}" for n in range(7, TEXTS, 1999)]
    assert ids == [f"d{n}" for n in range(TEXTS) if f"d{n}" not in set(bad)]

    draw, kills, completed, found, left, moments = random.Random(SEED), 0, 0, [], 0, []
    while kills < KILLS:
        output = tmp_path / f"killed-{completed}"
        moment = draw.uniform(0, seconds * 0.6)
        ended, _ = zygote.run({**job, "output": str(output)}, kill_after=moment)
        if ended == -signal.SIGKILL:
            kills += 1
            moments.append(round(moment, 2))
            found.append(len([*output.glob("part-*")]))
            left += len([*output.glob(".tmp-*")])
        else:
            completed += _equal(output, rows, vectors, rejects)
    last = tmp_path / f"killed-{completed}"
    assert zygote.run({**job, "output": str(last)})[0] == 0
    completed += _equal(last, rows, vectors, rejects)
    bad = sum(text.count("\n") for text in rejects.values())
    said = (
        f"{kills} kills over {TEXTS} texts in {TEXTS // SHARD} shards ({seconds:.1f} s uninterrupted): {completed} "
        f"outputs completed, each equal to the uninterrupted one: {len(ids)} rows, {bad} rejects. Shards there after "
        f"each kill: {found}; unfinished files left by kills: {left}; killed after {moments} s"
    )
    with capsys.disabled():
        sys.stdout.write(f"\n{said}\n")
    assert sum(found) > 0


def _equal(output, rows, vectors, rejects):
    """Assert that an output is the uninterrupted one; return 1."""
    again = contents(output)
    assert again[0] == rows
    assert again[2] == rejects
    assert np.abs(again[1] - vectors).max() < 1e-6
    extra = {path.name for path in output.iterdir()} - {*rows, *rejects, "manifest.json", "report.json", ".lock"}
    assert extra == set()
    assert json.loads((output / "report.json").read_text())["embedded"] == sum(map(len, rows.values()))
    with_bits = int((again[1].view(np.uint32) != vectors.view(np.uint32)).sum())
    assert with_bits == 0, f"{with_bits} numbers differ in their last digits"
    return 1
