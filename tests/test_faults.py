"""Faults injected into whole calls: each ends with the right vectors or the right error, and leaves nothing behind.

What happens inside a pool of workers is in core/tests/engine/workers; this is what the caller of a model sees. Every
test prints its counts.
"""

from __future__ import annotations

import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from FlagEmbedding import FlagModel, FlagReranker
from FlagEmbedding.errors import WorkerError

WORDS = ["the", "river", "of", "light", "garden", "seven", "stones", "where", "is", "a", "blue", "house", "on", "hill"]
LIMIT_S = 120


def texts(count, seed=0):
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(1, 12))) for _ in range(count)]


@pytest.fixture(autouse=True)
def time_limit():
    """A call that hangs fails the test."""

    def give_up(*_):
        pytest.fail(f"more than {LIMIT_S} s")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.alarm(LIMIT_S)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    return str(tiny.build(tmp_path_factory.mktemp("faults") / "bert", "bert"))


def load(folder, count=1):
    return FlagModel(folder, devices=["cpu"] * count, use_fp16=False)


class At:
    """Raises ``error`` in the calls that are named, and does what it wraps in the others."""

    def __init__(self, wrapped, error, *calls):
        self.wrapped, self.error, self.calls, self.count = wrapped, error, calls, 0

    def __call__(self, *args):
        self.count += 1
        if self.count - 1 in self.calls:
            raise self.error
        return self.wrapped(*args)


def test_memory_that_runs_out_in_any_batch(folder):
    sentences = texts(40)
    wanted = load(folder).encode(sentences, batch_size=4)
    batches = 10
    for batch in range(batches):
        model = load(folder)
        model._engine._forward = At(model._engine._forward, torch.OutOfMemoryError("CUDA out of memory"), batch)
        np.testing.assert_allclose(model.encode(sentences, batch_size=4), wanted, rtol=0, atol=1e-5)
        assert model._engine._forward.count > batches  # the halves of one of them
        np.testing.assert_allclose(model.encode(sentences, batch_size=4), wanted, rtol=0, atol=1e-5)
    print(f"{batches} batches without memory: {batches} right results")  # noqa: T201 - the counts are asked for


@pytest.mark.parametrize("error", [RuntimeError("cuDNN error"), KeyboardInterrupt(), ValueError("x")])
def test_any_other_error_passes_and_the_next_call_works(folder, error):
    model, sentences = load(folder), texts(40)
    wanted = model.encode(sentences)
    forward = model._engine._forward
    for batch in range(3):
        model._engine._forward = At(forward, error, batch)
        with pytest.raises(type(error)) as caught:
            model.encode(sentences, batch_size=8)
        assert caught.value is error
        model._engine._forward = forward
        np.testing.assert_array_equal(model.encode(sentences), wanted)


def test_an_error_of_the_tokenizer_passes_and_the_next_call_works(folder):
    model, sentences = load(folder), texts(40)
    wanted = model.encode(sentences)
    tokenizer, error = model._engine._tokenizer, ValueError("no such token")
    model._engine._tokenizer = At(tokenizer, error, 0)
    with pytest.raises(ValueError, match="no such token") as caught:
        model.encode(sentences)
    assert caught.value is error
    np.testing.assert_array_equal(model.encode(sentences), wanted)


@pytest.mark.parametrize("kind", ["embedder", "reranker"])
def test_eight_threads_get_their_own_results(kind, folder, tiny, tmp_path):
    """8 x 200 calls of one model; upstream's tokenizer fails with "Already borrowed"."""
    if kind == "embedder":
        call = load(folder).encode
        inputs = [texts(1 + number % 5, seed=number) for number in range(16)]
    else:
        reranker = FlagReranker(str(tiny.build_classifier(tmp_path / "classifier", "bert")), devices="cpu")
        call = reranker.compute_score
        inputs = [[("a river", text) for text in texts(1 + number % 5, seed=number)] for number in range(16)]
    wanted = [np.asarray(call(each)) for each in inputs]
    apart, failures = [], []

    def work(thread):
        try:
            for number in range(200):
                index = (thread * 5 + number) % len(inputs)
                found = np.asarray(call(inputs[index]))
                assert found.shape == wanted[index].shape
                apart.append(np.abs(found - wanted[index]).max())
        except BaseException as error:  # noqa: BLE001 - a thread's failure must reach the test
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures
    assert (len(apart), max(apart) <= 1e-5) == (1600, True)
    print(f"{kind}: 1600 calls in 8 threads, greatest difference {max(apart):.1e}")  # noqa: T201 - the counts are asked for


@pytest.mark.slow
def test_workers_killed_while_a_model_encodes(folder):
    """Twelve seeded moments; one victim, or both of them."""
    sentences, draw, ends = texts(400), random.Random(7), Counter()
    wanted = load(folder).encode(sentences)
    with load(folder, 2) as model:
        for _ in range(12):
            victims = draw.choice((1, 1, 2))
            killer = threading.Timer(draw.uniform(0, 0.3), kill, args=(victims, draw.random()))
            killer.start()
            try:
                np.testing.assert_allclose(model.encode(sentences), wanted, rtol=0, atol=1e-6)
                ends["right result"] += 1
            except WorkerError:
                ends["WorkerError"] += 1
            killer.join()
        np.testing.assert_allclose(model.encode(sentences), wanted, rtol=0, atol=1e-6)
    assert not multiprocessing.active_children()
    assert ends.total() == 12
    print(dict(ends))  # noqa: T201 - the counts are asked for


def kill(victims, where):
    alive = sorted(process.pid for process in multiprocessing.active_children())
    first = int(where * len(alive))
    for pid in (alive[first:] + alive[:first])[:victims]:
        os.kill(pid, signal.SIGKILL)


def test_control_c_while_a_model_encodes(folder, tmp_path):
    """The program hears of it, its workers end, and it may go on."""
    script = tmp_path / "program.py"
    script.write_text(
        textwrap.dedent(
            """
            import multiprocessing, sys
            from FlagEmbedding import FlagModel

            if __name__ == "__main__":
                sentences = [f"the river {index}" for index in range(300)]
                model = FlagModel(sys.argv[1], devices=["cpu", "cpu"], use_fp16=False)
                wanted = model.encode(sentences)
                print("ready", flush=True)
                try:
                    while True:
                        model.encode(sentences)
                except KeyboardInterrupt:
                    print("interrupted", flush=True)
                print(abs(model.encode(sentences) - wanted).max() <= 1e-6, flush=True)
                model.close()
                print(len(multiprocessing.active_children()), flush=True)
            """
        )
    )
    program = subprocess.Popen(
        [sys.executable, script, folder],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        cwd=Path(__file__).parent,
    )
    assert program.stdout is not None
    assert program.stdout.readline() == "ready\n"
    time.sleep(0.2)
    os.killpg(program.pid, signal.SIGINT)
    out, err = program.communicate(timeout=LIMIT_S)
    assert (out, err, program.returncode) == ("interrupted\nTrue\n0\n", "", 0)
