"""Embedding jobs: their rate beside encode_corpus, and their peak memory for many texts beside that for few.

    python benchmarks/jobs.py rate [--model all-MiniLM-L6-v2] [--texts 512] [--rounds 7]
    python benchmarks/jobs.py rest [--model all-MiniLM-L6-v2] [--texts 512]
    python benchmarks/jobs.py memory [--few 10000] [--many 1000000]
    python benchmarks/jobs.py reading [--texts 1000000]

The rate is a ratio, round by round in one process: the same model and texts, encode_corpus on a list of them and a job
from Parquet into Parquet; by the clock, and by processor time, which other programs disturb less. The rest is what a
job does beside computing. Memory is a process's own peak (VmHWM), with a tiny model, so that the texts and not the
weights are what grows. Reading is how fast the rows of each format come, whatever the model.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from FlagEmbedding.jobs import EmbedJob, run
from FlagEmbedding.jobs.blocks import Cut, blocks
from FlagEmbedding.jobs.model import JobModel
from FlagEmbedding.jobs.reading import find_input
from FlagEmbedding.testing.checkpoints import build
from FlagEmbedding.testing.vocabularies import WORDS

QUIET: dict[str, Any] = {"devices": "cpu", "show_progress": False}


def texts_of(count: int, words: tuple[int, int]) -> Iterator[str]:
    """Yield different texts of so many words."""
    draw = random.Random(0)
    for number in range(count):
        yield " ".join([*draw.choices(WORDS, k=draw.randint(*words)), str(number)])


def rate(options: argparse.Namespace) -> None:
    """Print the ratio of the two rates."""
    texts = [*texts_of(options.texts, (10, 60))]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        model = str(build(folder / "tiny")) if options.model == "tiny" else options.model
        pq.write_table(pa.table({"text": texts}), folder / "corpus.parquet")
        job = EmbedJob(str(folder / "corpus.parquet"), str(folder / "warm"), model, **QUIET)
        run(job)
        loaded = JobModel(job)
        embedder = loaded._model  # noqa: SLF001 - the same for both
        found = []
        for number in range(options.rounds):
            plain = timed(lambda: embedder.encode_corpus(texts, show_progress=False))
            again = EmbedJob(str(folder / "corpus.parquet"), str(folder / str(number)), model, **QUIET)
            clock, processor = timed(lambda again=again: run(again, loaded))
            found.append((plain[0] / clock, plain[1] / processor))
            print(f"{number + 1}: encode_corpus {len(texts) / plain[0]:.1f} texts/s, job {len(texts) / clock:.1f}: "
                  f"{found[-1][0]:.3f} by the clock, {found[-1][1]:.3f} by processor time", flush=True)  # fmt: skip
    for what, ratios in zip(("clock", "processor time"), zip(*found, strict=True), strict=True):
        print(f"job / encode_corpus, {options.model}, {len(texts)} texts, {what}: {statistics.median(ratios):.3f} "
              f"({min(ratios):.3f} to {max(ratios):.3f})")  # fmt: skip


def rest(options: argparse.Namespace) -> None:
    """Print what a job does beside computing: the vectors are there already."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(pa.table({"text": [*texts_of(options.texts, (10, 60))]}), folder / "corpus.parquet")
        job = EmbedJob(str(folder / "corpus.parquet"), str(folder / "out"), options.model, **QUIET)
        model = JobModel(job)
        _, hashing = timed(model.fingerprint)
        ready = np.random.default_rng(0).random((4096, 384), dtype=np.float32)
        model._encode = lambda texts: ready[: len(texts)]  # noqa: SLF001
        _, processor = timed(lambda: run(job, model))
    each = (processor - hashing) / options.texts * 1e6
    print(
        f"{options.texts} texts: {processor:.3f} s of processor time beside computing, {hashing:.3f} s of them to know"
    )
    print(f"the weights again; {each:.0f} microseconds a text")


def timed(work: Callable[[], object]) -> tuple[float, float]:
    """Return what ``work`` takes, by the clock and by processor time of all threads."""
    clock, processor = time.perf_counter(), time.process_time()
    work()
    return time.perf_counter() - clock, time.process_time() - processor


def write_corpus(path: Path, count: int) -> None:
    """Write short texts, as a Parquet file of one row group of a million rows."""
    with pq.ParquetWriter(path, pa.schema([("text", pa.string())])) as writer:
        writer.write_table(pa.table({"text": [*texts_of(count, (2, 6))]}), count)


def memory(options: argparse.Namespace) -> None:
    """Print the ratio of the two peaks."""
    found = {}
    with tempfile.TemporaryDirectory() as name:
        build(Path(name) / "tiny", num_hidden_layers=1)
        for count in (options.few, options.many):
            write_corpus(Path(name) / f"{count}.parquet", count)
            command = [sys.executable, __file__, "peak", "--folder", name, "--texts", str(count)]
            found[count] = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
            print(
                f"{count:8d} texts: peak {found[count]['peak']:7.1f} MB, {found[count]['rate']:.0f} texts/s", flush=True
            )
    ratio = found[options.many]["peak"] / found[options.few]["peak"]
    print(f"peak of {options.many} / peak of {options.few}: {ratio:.3f}")


def peak(options: argparse.Namespace) -> None:
    """Run one job, and print its peak."""
    folder, count = options.folder, options.texts
    done = run(EmbedJob(str(folder / f"{count}.parquet"), str(folder / f"out{count}"), str(folder / "tiny"), **QUIET))
    assert done.embedded == count
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    used = next(int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:"))
    print(json.dumps({"peak": used, "rate": done.rate}))


def reading(options: argparse.Namespace) -> None:
    """Print how fast one reader is, whatever the model: it bounds what one can feed."""
    table = pa.table({"text": [*texts_of(options.texts, (60, 90))]})
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        pq.write_table(table, folder / "a.parquet", row_group_size=100_000)
        pyarrow.csv.write_csv(table, folder / "a.csv")
        with (folder / "a.txt").open("w") as plain, (folder / "a.jsonl").open("w") as objects:
            for text in table["text"].to_pylist():
                plain.write(text + "\n")
                objects.write(json.dumps({"text": text}) + "\n")
        for kind in ("parquet", "jsonl", "csv", "txt"):
            source = find_input(EmbedJob(str(folder / f"a.{kind}"), "", ""))
            found = blocks(source, Cut(16384, 4096), range(10**6))
            clock, processor = timed(lambda found=found: sum(map(len, found)))
            size = source.files[0].size / options.texts
            print(f"{kind:8} {options.texts / clock:9.0f} texts/s by the clock, {options.texts / processor:9.0f} by "
                  f"processor time; {size:.0f} bytes a text")  # fmt: skip


def main() -> None:
    """Measure what is asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["rate", "rest", "memory", "reading", "peak"])
    parser.add_argument("--model", default="all-MiniLM-L6-v2")
    parser.add_argument("--texts", type=int, default=512)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--few", type=int, default=10_000)
    parser.add_argument("--many", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    {"rate": rate, "rest": rest, "memory": memory, "reading": reading, "peak": peak}[options.what](options)


if __name__ == "__main__":
    main()
