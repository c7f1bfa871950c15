"""Checks of a model on several devices, and of its end."""

from __future__ import annotations

import multiprocessing

from FlagEmbedding.testing.answers import apart, ask, inputs, many_inputs, tolerance, ways
from FlagEmbedding.testing.bench import Bench
from FlagEmbedding.testing.breach import Required, require
from FlagEmbedding.testing.entries import Entry

__tracebackhide__ = True  # see breach

_COUNT = 140  # enough inputs for work to leave this process
_SEE = (
    "FlagEmbedding.abc.inference.on_devices: a model is pickled for its workers, and loads again where it is unpickled"
)


def check_close(entry: Entry, bench: Bench) -> None:
    """A model may be closed, more than once, and answers as before afterwards."""
    bench.model(entry)
    model, way = bench.load(entry), ways(entry)[0]
    before = ask(model, way, inputs(entry))
    wants = "close() ends the workers, and nothing else; it may be called again"
    with Required(f"{entry}: closing it twice, or asking it afterwards, fails", wants, _SEE):
        model.close()
        model.close()
        after = ask(model, way, inputs(entry))
    distance = max(apart(*pair) for pair in zip(before, after, strict=True))
    does = f"{entry}: after close(), {way}() gives something else (by {distance:.1e})."
    require(distance <= tolerance(entry), does, wants, _SEE)


def check_workers(entry: Entry, bench: Bench) -> None:
    """Two workers give what one model gives in this process, and end when the model is closed."""
    running = set(multiprocessing.active_children())
    items, alone = many_inputs(entry, _COUNT), bench.model(entry)
    with bench.load(entry, devices=["cpu", "cpu"]) as shared:
        for way in ways(entry):
            with Required(f"{entry}: {way}() fails on devices=['cpu', 'cpu']", "the same as on one device", _SEE):
                found = ask(shared, way, items)
            distance = max(apart(*pair) for pair in zip(ask(alone, way, items), found, strict=True))
            does = f"{entry}: {way}() on devices=['cpu', 'cpu'] is off by {distance:.1e}."
            # Both run the same code on the same kind of device: only the batches differ.
            require(distance <= tolerance(entry) / 10, does, "the same as on one device", _SEE)
    left = set(multiprocessing.active_children()) - running
    for process in left:
        process.terminate()
    require(not left, f"{entry}: {len(left)} of its processes run on after close().", "close() ends the workers", _SEE)
