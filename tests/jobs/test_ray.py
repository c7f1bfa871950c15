"""On Ray: the same shards as a run of this machine, whatever becomes of the actors."""

from __future__ import annotations

import gc
import json
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("ray", reason="needs flagembedding-core[ray]")

import pyarrow.parquet as pq
import ray

from FlagEmbedding.errors import InputError, JobChangedError, OptionError
from FlagEmbedding.jobs import EmbedJob, run
from FlagEmbedding.jobs.ray import run_on_ray

pytestmark = pytest.mark.filterwarnings("ignore")  # Ray's own, of what it has deprecated and left open


@pytest.fixture(scope="module", autouse=True)
def cluster():
    """A Ray with two CPUs, which two workers take: nothing is left for tasks that would need one."""
    ray.init(num_cpus=2, log_to_driver=False, include_dashboard=False)
    yield
    ray.shutdown()


@pytest.fixture
def job(corpus, checkpoint, tmp_path):
    def make(output, **options):
        settings = {"id_column": "doc", "shard_size": 100, "block_size": 40, "on_error": "reject"}
        settings |= {"show_progress": False}
        return EmbedJob(str(corpus), str(tmp_path / output), str(checkpoint("bert")), **{**settings, **options})

    return make


def contents(folder):
    tables = {path.name: pq.read_table(path) for path in sorted(folder.glob("part-*"))}
    rows = {name: table.drop(["embedding"]).to_pylist() for name, table in tables.items()}
    vectors = np.concatenate([np.asarray(table["embedding"].combine_chunks().flatten()) for table in tables.values()])
    return rows, vectors, {path.name: path.read_text() for path in sorted(folder.glob("rejects-*"))}


def assert_equal(folder, other):
    """The same files with the same rows, and vectors that differ by rounding at most."""
    (rows, vectors, rejects), again = contents(folder), contents(other)
    assert again[0] == rows
    assert again[2] == rejects
    assert np.abs(again[1] - vectors).max() < 1e-6
    assert {path.name for path in folder.iterdir()} == {path.name for path in other.iterdir()}


def test_two_actors_write_what_one_machine_writes(job, tmp_path):
    whole = run(job("here", devices="cpu"))
    report = run_on_ray(job("ray"), workers=2)
    assert_equal(tmp_path / "here", tmp_path / "ray")
    assert (report.shards, report.rows, report.embedded, report.rejected) == (30, 3000, 2999, 1)
    assert (whole.shards, whole.embedded, whole.rejected) == (30, 2999, 1)
    identities = {json.loads((tmp_path / name / "manifest.json").read_text())["identity"] for name in ("here", "ray")}
    assert len(identities) == 1


def test_either_goes_on_where_the_other_was_interrupted(job, tmp_path):
    run(job("here", devices="cpu"))
    for number in (0, 7, 8, 29):
        (tmp_path / f"here/part-{number:06d}.parquet").unlink()
    assert run_on_ray(job("here")).found == 26
    run_on_ray(job("ray"))
    (tmp_path / "ray/part-000003.parquet").unlink()
    assert run(job("ray", devices="cpu")).found == 29
    assert_equal(tmp_path / "here", tmp_path / "ray")


def actors():
    """Return the handles of Ray Data's actors that this process has."""
    kind = ray.actor.ActorHandle
    return [one for one in gc.get_objects() if type(one) is kind and "MapWorker" in repr(one)]


def test_one_reader_feeds_several_actors(job, corpus, tmp_path):
    """JSON lines are read from the beginning, by one task; the shards go to whoever is free."""
    rows = pq.read_table(corpus / "a.parquet").to_pylist()
    (corpus / "a.parquet").unlink()
    (corpus / "a.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    run(job("here", devices="cpu"))
    run_on_ray(job("ray"), workers=2)
    assert_equal(tmp_path / "here", tmp_path / "ray")
    for number in (3, 4, 11, 28, 29):
        (tmp_path / f"ray/part-{number:06d}.parquet").unlink()
    assert run_on_ray(job("ray")).found == 25
    assert_equal(tmp_path / "here", tmp_path / "ray")


@pytest.mark.parametrize("no_restart", [False, True])
def test_an_actor_is_killed_in_the_middle(job, tmp_path, capsys, no_restart):
    run(job("here", devices="cpu"))
    killed = []

    def kill():
        while len([*(tmp_path / "ray").glob("part-*")]) < 5:
            time.sleep(0.01)
        victim = actors()[0]
        ray.kill(victim, no_restart=no_restart)
        killed.append((repr(victim), len([*(tmp_path / "ray").glob("part-*")])))

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    report = run_on_ray(job("ray"), workers=2)
    killer.join(10)
    with capsys.disabled():
        sys.stdout.write(f"\nkilled {killed} with no_restart={no_restart}; {report}\n")
    assert len(killed) == 1
    assert killed[0][1] < 30
    assert_equal(tmp_path / "here", tmp_path / "ray")


def test_errors_are_ours(job, tmp_path):
    with pytest.raises(InputError, match=r"row 1234 .*the text is null.*on_error='reject'"):
        run_on_ray(job("ray", on_error="stop"), workers=2)
    found = sorted(path.name for path in (tmp_path / "ray").iterdir())
    assert not [name for name in found if name.startswith(".tmp-")]
    assert "part-000012.parquet" not in found
    assert run_on_ray(job("ray")).embedded == 2999
    with pytest.raises(JobChangedError, match='setting dtype: "float32" then, "float16" now'):
        run_on_ray(job("ray", dtype="float16"))
    with pytest.raises(OptionError, match="leave devices out"):
        run_on_ray(job("ray", devices="cpu"))
