"""Mixed calls for a long time, while the memory is watched: ``make soak``.

    python benchmarks/soak.py [--minutes 20] [--out docs/benchmarks/soak.json]

One process with an embedder, a reranker and two CPU workers calls encode and compute_score with texts of changing
number and length, makes mistakes on purpose, drops models and loads them again, and closes and restarts its workers. It
prints the memory of the process with its workers at the start of the second quarter and at the end, and how fast it
grew between; it fails when that is more than a twentieth, or when a process is left over.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import transformers
from harness.environments import ROOT, python_of

from FlagEmbedding import FlagAutoModel, FlagAutoReranker
from FlagEmbedding.errors import FlagEmbeddingError
from flagembedding_minilm.weights import packaged_folder

WORDS = ["the", "river", "of", "light", "garden", "seven", "stones", "where", "is", "a", "blue", "house", "on", "hill"]
GROWTH = 0.05
_LONGEST = 122  # tokens of a text


class Soak:
    """The models, and what is done with them."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.random = random.Random(seed)
        self.reranker_folder = folder
        self.embedder = self.load()
        self.reranker = FlagAutoReranker.from_finetuned(folder, devices=["cpu", "cpu"])
        self.calls = 0

    def load(self) -> Any:
        """Return a fresh embedder."""
        return FlagAutoModel.from_finetuned(packaged_folder(), devices=["cpu", "cpu"])

    def texts(self, most: int) -> list[str]:
        """Return up to ``most`` texts."""
        counts = [self.random.randint(1, 120) for _ in range(self.random.randint(1, most))]
        return [" ".join(self.random.choices(WORDS, k=count)) for count in counts]

    def warm(self) -> None:
        """Run a forward of each size: oneDNN keeps a kernel for each, which would else come by chance."""
        for tokens in (*range(3, 64), *range(64, 512, 16), *range(512, 2048, 32)):
            counts = [_LONGEST] * (tokens // _LONGEST) + [tokens % _LONGEST]
            self.embedder.encode_corpus([" ".join(self.random.choices(WORDS, k=max(1, count - 2))) for count in counts])

    def step(self) -> None:
        """Do one thing, the cheap ones often."""
        works: list[tuple[int, Callable[[], object]]] = [
            (40, lambda: self.embedder.encode_queries(self.texts(3))),
            (10, lambda: self.embedder.encode_corpus(self.texts(100))),
            (3, lambda: self.embedder.encode_corpus(self.texts(300))),  # by the workers
            (10, lambda: self.reranker.compute_score([("a river", text) for text in self.texts(50)])),
            (3, lambda: self.reranker.compute_score([("a river", text) for text in self.texts(300)])),
            (4, self.mistake),
            (1, self.restart),
        ]
        weights, actions = zip(*works, strict=True)
        self.random.choices(actions, weights)[0]()
        self.calls += 1

    def mistake(self) -> None:
        """Ask for what cannot be had."""
        wrong: list[Callable[[], object]] = [
            lambda: self.embedder.encode([None]),
            lambda: self.embedder.encode(["a"], batch_size=0),
            lambda: self.reranker.compute_score([("a", "b", "c")]),
            lambda: FlagAutoModel.from_finetuned("nobody/knows-this-name-at-all", local_files_only=True),
        ]
        try:
            self.random.choice(wrong)()
        except FlagEmbeddingError:
            return
        raise AssertionError("a mistake passed")

    def restart(self) -> None:
        """Close workers, or load the model again."""
        if self.random.choice((True, False)):
            self.reranker.close()
        else:
            self.embedder.close()
            self.embedder = self.load()
            gc.collect()

    def close(self) -> None:
        """End the workers."""
        self.embedder.close()
        self.reranker.close()


def megabytes() -> tuple[float, float]:
    """Return the memory of this process, and of its workers: what they share is counted once (PSS)."""
    workers = [process.pid for process in multiprocessing.active_children()]
    return _proportional("self"), sum(_proportional(str(pid)) for pid in workers)


def _proportional(pid: str) -> float:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()
    except OSError:  # it has just ended
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("Pss:")), 0.0)


def build_reranker(folder: Path) -> Path:
    """Write a small cross-encoder of random weights, with MiniLM's tokenizer."""
    transformers.AutoTokenizer.from_pretrained(packaged_folder()).save_pretrained(folder)
    config = transformers.AutoConfig.from_pretrained(packaged_folder(), num_labels=1, num_hidden_layers=2)
    transformers.AutoModelForSequenceClassification.from_config(config).save_pretrained(folder)
    return folder


def run(minutes: float, seed: int) -> dict[str, Any]:
    """Return what was measured, every two seconds."""
    samples: list[tuple[float, float, float]] = []
    with tempfile.TemporaryDirectory() as folder:
        soak = Soak(build_reranker(Path(folder)), seed)
        soak.warm()
        start = due = time.monotonic()
        while (now := time.monotonic()) - start < 60 * minutes:
            soak.step()
            if now >= due:
                samples.append((round(now - start, 1), *(round(size, 1) for size in megabytes())))
                due = now + 2
        soak.close()
    left = len(multiprocessing.active_children())
    return {"minutes": minutes, "calls": soak.calls, "processes_left": left, "samples": samples}


def verdict(result: dict[str, Any]) -> dict[str, float]:
    """Return the memory of the process itself after a quarter of the time and at the end, in MB, by a straight line.

    The workers come and go, so their sum says nothing; each that lives long is as long as the process itself.
    """
    times, own, _ = np.array(result["samples"]).T
    late = times >= times[-1] / 4
    slope, level = np.polyfit(times[late], own[late], 1)
    first, last = (float(level + slope * at) for at in (times[-1] / 4, times[-1]))
    return {"first_mb": round(first, 1), "last_mb": round(last, 1), "growth": round(last / first - 1, 4)}


def main() -> int:
    """Measure, print, write; return 1 when memory grew or a process was left."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=ROOT / "docs/benchmarks/soak.json")
    given = parser.parse_args()
    result = run(given.minutes, given.seed)
    result |= verdict(result)
    print(json.dumps({name: value for name, value in result.items() if name != "samples"}))
    given.out.parent.mkdir(parents=True, exist_ok=True)
    given.out.write_text(json.dumps(result) + "\n", encoding="utf-8")
    script = ROOT / "benchmarks/harness/soak_plot.py"
    subprocess.run([python_of("reference", {}), script, given.out, given.out.with_suffix(".svg")], check=True)
    return int(result["growth"] > GROWTH or result["processes_left"] > 0)


if __name__ == "__main__":
    sys.exit(main())
