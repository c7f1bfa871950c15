"""Checks of a plugin as a whole: it is active, its hooks are light, and what they name is there."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import torch

import FlagEmbedding
from FlagEmbedding.abc.inference import AbsEmbedder, AbsReranker
from FlagEmbedding.config import ModelClass
from FlagEmbedding.plugins.discovery import ALLOW
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.plugins.records import Status
from FlagEmbedding.references import load_reference
from FlagEmbedding.registry.classes import EMBEDDER_CLASSES, RERANKER_CLASSES, ClassTable
from FlagEmbedding.testing.breach import CONFIGS, HOOKS, Required, require
from FlagEmbedding.testing.entries import contribution_of, record_of

__tracebackhide__ = True  # see breach

_NOBODYS = "nobody/no-such-model"

_LIST = """
import json, sys
from FlagEmbedding.plugins.manager import PluginManager
records = [record for record in PluginManager().records() if record.status != "disabled"]
heavy = [name for name in ("torch", "transformers") if name in sys.modules]
sys.stdout.write(json.dumps({"found": len(records), "heavy": heavy}))
"""


def check_active(plugin: str) -> None:
    """The plugin is found, and nothing in it failed."""
    record = record_of(plugin)
    names = sorted(other.name for other in plugin_manager().records())
    entry_point = "an installed distribution names it under the entry-point group 'flagembedding'"
    require(record, f"there is no plugin {plugin!r}; found: {', '.join(names) or 'none'}.", entry_point, HOOKS)
    assert record is not None
    active = record.status is Status.ACTIVE
    require(active, f"the plugin {plugin!r} is {record.status}: {record.reason}", "it loads without an error", HOOKS)


def check_light(plugin: str) -> None:
    """Listing what the plugin registers imports neither torch nor transformers; asked of a fresh process."""
    record = record_of(plugin)
    if record is None or not record.version:
        pytest.skip(f"{plugin!r} is not installed, and this asks a fresh process")
    check_light_in_fresh_process(plugin)


def check_light_in_fresh_process(plugin: str) -> None:
    """The same, of a plugin that this process need not know."""
    environ = {**os.environ, ALLOW: plugin, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(  # noqa: S603 - this interpreter, with code from above
        [sys.executable, "-c", _LIST], capture_output=True, text=True, check=False, env=environ
    )
    require(done.returncode == 0, f"listing the plugin {plugin!r} ends in:\n{done.stderr}", "it does not fail", HOOKS)
    said = json.loads(done.stdout)
    require(said["found"], f"a fresh process finds no plugin {plugin!r}.", "it is installed", HOOKS)
    require(
        not said["heavy"],
        f"importing the hooks of {plugin!r} and calling them imports {' and '.join(said['heavy'])}.",
        "every process that lists models does so, and none may wait for torch: name classes as 'module:Class', and "
        "keep what needs torch out of the modules that hooks import",
        HOOKS,
    )


def check_locator() -> None:
    """A locator has no answer for a model that is not its own."""
    leave = "flagembedding_locate_model() returns None for whatever it does not have, and raises nothing"
    with Required(f"asked for {_NOBODYS!r}, a locator fails", leave, HOOKS):
        folder = plugin_manager().locate(_NOBODYS)
    require(folder is None, f"asked for {_NOBODYS!r}, a locator answers {folder!r}.", leave, HOOKS)


def check_classes(plugin: str) -> None:
    """The model classes can be imported, are such classes, and have their public names."""
    offered = contribution_of(plugin)
    for key, found in offered.embedder_classes.items():
        _check_class(f"the class {key!r} of {plugin!r}", found, AbsEmbedder)
        _check_types(f"the class {key!r} of {plugin!r}", found, EMBEDDER_CLASSES)
    for key, found in offered.reranker_classes.items():
        _check_class(f"the class {key!r} of {plugin!r}", found, AbsReranker)
        _check_types(f"the class {key!r} of {plugin!r}", found, RERANKER_CLASSES, found.architecture)


def _check_class(who: str, offered: ModelClass, base: type) -> None:
    with Required(f"{who} cannot be imported", f"{offered.path!r} is there", HOOKS):
        found = load_reference(offered.reference)
    good = isinstance(found, type) and issubclass(found, base)
    require(good, f"{who} is {found!r}.", f"it is a subclass of {base.__name__}", HOOKS)
    for name in offered.exports:
        public = getattr(FlagEmbedding, name, None)
        wants = f"'from FlagEmbedding import {name}' gives {offered.path}"
        require(public is found, f"{who} exports {name!r}, and that is {public!r}.", wants, CONFIGS)


def _check_types(who: str, offered: ModelClass, table: ClassTable, architecture: str = "") -> None:
    for model_type in offered.model_types:
        does = f"{who} claims the model type {model_type!r}, and does not get it"
        wants = "models of that type that nobody registered load with it, and a type belongs to one plugin"
        with Required(does, wants, CONFIGS):
            found = table.of_model_type(model_type, architecture)
        gets = None if found is None else found.path
        require(gets == offered.path, f"{does}: {gets} does.", wants, CONFIGS)


def check_poolings(plugin: str) -> None:
    """The pooling functions give one vector a text, and read no padding."""
    for name, reference in contribution_of(plugin).poolings.items():
        who = f"the pooling {name!r} of {plugin!r}"
        states = torch.linspace(-1, 1, 24).reshape(2, 3, 4)
        mask = torch.tensor([[True, True, False], [True, True, True]])
        with Required(f"{who} cannot be used", "a function of token vectors and a mask", HOOKS):
            pool = load_reference(reference)
            vectors, padded = pool(states, mask), pool(states.masked_fill(~mask.unsqueeze(-1), 99.0), mask)
            form = tuple(vectors.shape), vectors.dtype
        wants = "float32 [texts, width] of float32 [texts, tokens, width]"
        require(form == ((2, 4), torch.float32), f"{who} makes {form[0]}, {form[1]} of {(2, 3, 4)}.", wants, HOOKS)
        read = f"{who} reads the vectors where the mask is False."
        require(torch.equal(vectors, padded), read, "padding counts for nothing", HOOKS)
