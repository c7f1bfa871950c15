"""Checks of what a model computes: that it computes, and that an answer depends on its text or pair alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from FlagEmbedding.testing.answers import apart, ask, inputs, numbers, tolerance, ways
from FlagEmbedding.testing.bench import Bench
from FlagEmbedding.testing.breach import EMBEDDER, KIT, RERANKER, Required, require
from FlagEmbedding.testing.entries import Entry

__tracebackhide__ = True  # see breach

_LOADS = "what a plugin registers loads from a checkpoint of its architecture, as the catalogue says"
_ALONE = "an answer depends on its text or pair alone; what else is in the call, and where, changes nothing"


def check_loads(entry: Entry, bench: Bench) -> None:
    """A model loads by its name from a tiny checkpoint of its architecture, and computes."""
    with Required(f"no tiny checkpoint can be built for {entry}", "one of its architecture", KIT):
        bench.folder(entry)
    with Required(f"{entry} does not load by its name, on the CPU, from a tiny checkpoint", _LOADS, _see(entry)):
        model = bench.loaded(entry)
    for way in ways(entry):
        with Required(f"{entry}: {way}() fails", "a model that loads computes", _see(entry)):
            answers = ask(model, way, inputs(entry))
        _check_answers(entry, model, way, answers)


def _check_answers(entry: Entry, model: Any, way: str, answers: Sequence[Any]) -> None:
    does, see = f"{entry}: {way}() gives {answers[0]!r}, ...", _see(entry)
    require(all(np.isfinite(numbers(answer)).all() for answer in answers), does, "finite numbers", see)
    if entry.is_embedder and not isinstance(answers[0], Mapping):
        dtype = str(getattr(answers[0], "dtype", type(answers[0]).__name__))
        require(dtype.endswith("float32"), f"{entry}: {way}() gives {dtype}.", "float32 vectors", see)
        lengths = [float(np.linalg.norm(numbers(answer))) for answer in answers]
        unit = not model.normalize_embeddings or np.allclose(lengths, 1, atol=1e-4)
        require(unit, f"{entry}: {way}() gives vectors of length {lengths}.", "length 1 with normalize_embeddings", see)
    told_apart = max(apart(answers[0], other) for other in answers[1:])
    same = f"{entry}: {way}() gives the same for {inputs(entry)!r}."
    require(told_apart > tolerance(entry), same, "different texts are told apart", see)


def check_batches(entry: Entry, model: Any) -> None:
    """An answer does not depend on what is computed with it."""
    items = inputs(entry)
    for way in ways(entry):
        together = ask(model, way, items)
        _require_same(entry, way, "one at a time", together, [ask(model, way, [item])[0] for item in items])
        _require_same(entry, way, "with batch_size=2", together, ask(model, way, items, batch_size=2))


def check_order(entry: Entry, model: Any) -> None:
    """An answer comes back in the place of its input."""
    items = inputs(entry)
    for way in ways(entry):
        turned = ask(model, way, items[::-1])
        _require_same(entry, way, "in the opposite order", ask(model, way, items), turned[::-1])


def check_duplicates(entry: Entry, model: Any) -> None:
    """The same input, given twice in one call, has the same answer twice."""
    items = inputs(entry)
    for way in ways(entry):
        twice = ask(model, way, [item for item in items for _ in range(2)])
        _require_same(entry, way, "given again in the same call", twice[::2], twice[1::2])
        _require_same(entry, way, "given twice", ask(model, way, items), twice[::2])


def _require_same(entry: Entry, way: str, how: str, one: Sequence[Any], other: Sequence[Any]) -> None:
    distances = [apart(*pair) for pair in zip(one, other, strict=True)]
    worst = int(np.argmax(distances))
    require(
        distances[worst] <= tolerance(entry),
        f"{entry}: {way}() of {inputs(entry)[worst]!r} is off by {distances[worst]:.1e} {how}.",
        f"{_ALONE} (by no more than {tolerance(entry):.0e})",
        _see(entry),
    )


def _see(entry: Entry) -> str:
    return f"{entry.config.model_class_reference}, and {EMBEDDER if entry.is_embedder else RERANKER}"
