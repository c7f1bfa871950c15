"""Checks of what a model refuses: options nobody knows, what is no text, and a checkpoint that lacks a weight."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch

from FlagEmbedding.testing.answers import inputs, ways
from FlagEmbedding.testing.bench import Bench
from FlagEmbedding.testing.breach import EMBEDDER, RERANKER, Required, require
from FlagEmbedding.testing.entries import Entry

__tracebackhide__ = True  # see breach

_TYPO = "no_such_option"


def check_unknown_option(entry: Entry, bench: Bench) -> None:
    """An option that nobody knows is refused by name, by the constructor and by a call: a typo must not say nothing."""
    model = bench.model(entry)
    _require_refusal(entry, f"loading with {_TYPO}=1", _TYPO, partial(bench.load, entry, no_such_option=1))
    for way in ways(entry):
        call = partial(getattr(model, way), inputs(entry), no_such_option=1)
        _require_refusal(entry, f"{way}(..., {_TYPO}=1)", _TYPO, call)


def check_bad_input(entry: Entry, model: Any) -> None:
    """What is no text, or no pair, is refused by its position."""
    good, *_ = inputs(entry)
    bad = 3 if entry.is_embedder else ("a query alone",)
    for way in ways(entry):
        _require_refusal(entry, f"{way}() of {[good, bad]}", "[1]", partial(getattr(model, way), [good, bad]))
        _require_refusal(entry, f"{way}() of None", "None", partial(getattr(model, way), None))


def _require_refusal(entry: Entry, doing: str, names: str, act: Callable[[], Any]) -> None:
    wants = f"a ValueError or TypeError (OptionError, InputError) whose message has {names!r}"
    see = f"{entry.config.model_class_reference}, and {EMBEDDER if entry.is_embedder else RERANKER}"
    try:
        result = act()
    except (ValueError, TypeError) as error:
        require(names in str(error), f"{entry}: {doing} is refused with {str(error)!r}.", wants, see)
    else:
        require(False, f"{entry}: {doing} gives {result!r}.", wants, see)


def check_missing_weights(entry: Entry, bench: Bench, folder: Path) -> None:
    """A checkpoint that lacks a weight is refused by its name when it is loaded: the model would run on random numbers.

    Args:
        entry: The model.
        bench: Where it is loaded.
        folder: Where a damaged copy of the checkpoint is written.
    """
    bench.model(entry)
    copy = Path(shutil.copytree(bench.folder(entry), folder / "copy"))
    weights = copy / "model.safetensors"
    if not weights.is_file():
        pytest.skip(f"the checkpoint of {entry} has no model.safetensors")
    see = f"{entry.config.model_class_reference}, and FlagEmbedding.engine.checkpoint.Checkpoint.load_model"
    with Required(
        f"{entry} does not load from a copy of its checkpoint", "it loads from any folder with its files", see
    ):
        bench.load(entry, copy)
    tensors = safetensors.torch.load_file(weights)
    lost = _of_the_first_layer(tensors)
    del tensors[lost]
    safetensors.torch.save_file(tensors, weights, {"format": "pt"})
    _require_named(f"{entry}: loading without the weight {lost!r}", lost, partial(bench.load, entry, copy), see)


def _require_named(doing: str, lost: str, load: Callable[[], Any], see: str) -> None:
    wants = f"a CheckpointError with {_own_part(lost)!r} in its message, for the model would run on random numbers"
    try:
        load()
    except Exception as error:  # noqa: BLE001 - a class may have a loader of its own, with errors of its own
        require(_own_part(lost) in str(error), f"{doing} is refused with {str(error)!r}.", wants, see)
    else:
        require(False, f"{doing} gives a model.", wants, see)


def _own_part(name: str) -> str:
    """Return the end of a weight's name: what is before it is not the same in every checkpoint of an architecture."""
    return ".".join(name.split(".")[-2:])


def _of_the_first_layer(tensors: dict[str, Any]) -> str:
    """Return the name of a weight that no model can do without; heads and poolers may be left out of a checkpoint."""
    matrices = sorted(name for name, tensor in tensors.items() if tensor.ndim > 1)
    return next((name for name in matrices if ".0." in name), matrices[0])
