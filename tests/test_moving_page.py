"""The page for those who come from FlagEmbedding 1.4.2 names everything of its interface, and says no untruth of it.

``upstream_signatures.json`` has the public classes, methods, arguments and defaults of its inference package, read from
the released wheel; None stands for a function.
"""

from __future__ import annotations

import inspect
import json
import re
from pathlib import Path
from typing import Any

import pytest

import FlagEmbedding
from FlagEmbedding.inference.embedder import model_mapping
from FlagEmbedding.inference.embedder.decoder_only import BaseLLMEmbedder
from FlagEmbedding.inference.embedder.encoder_only import BaseEmbedder
from FlagEmbedding.inference.reranker.decoder_only import BaseLLMReranker
from FlagEmbedding.inference.reranker.encoder_only import BaseReranker
from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING

HERE = Path(__file__).parent
PAGE = (HERE.parent / "docs/moving-from-flagembedding.md").read_text(encoding="utf-8")
THEIRS: dict[str, dict[str, dict[str, str]] | None] = json.loads((HERE / "upstream_signatures.json").read_text())
CONSTRUCTORS = ("__init__", "from_finetuned")
OURS: dict[str, Any] = {
    "BaseEmbedder": BaseEmbedder,
    "BaseLLMEmbedder": BaseLLMEmbedder,
    "BaseReranker": BaseReranker,
    "BaseLLMReranker": BaseLLMReranker,
    "M3Embedder": FlagEmbedding.BGEM3FlagModel,
    "ICLLLMEmbedder": FlagEmbedding.FlagICLModel,
    "PseudoMoELLMEmbedder": FlagEmbedding.FlagPseudoMoEModel,
    "LayerWiseLLMReranker": FlagEmbedding.LayerWiseFlagLLMReranker,
    "LightweightLLMReranker": FlagEmbedding.LightWeightFlagLLMReranker,
    "AUTO_RERANKER_MAPPING": AUTO_RERANKER_MAPPING,
    **{name: getattr(FlagEmbedding, name) for name in FlagEmbedding.__all__},
    **{name: getattr(model_mapping, name) for name in model_mapping.__all__},
}


def rows(heading: str) -> list[list[str]]:
    """Return the cells of the first table under a heading, the head left out."""
    [part] = re.findall(rf"(?ms)^## {heading}$.*?((?:^\|[^\n]*\n)+)", PAGE)
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in part.splitlines()[2:]]


def named(cell: str) -> list[str]:
    return re.findall(r"`([\w.]+)`", cell)


def is_not_here(cell: str) -> bool:
    return cell.startswith("not here")


def test_every_class_and_function_is_named() -> None:
    told = {name: here for there, here in rows("Imports") for name in named(there)}
    assert set(THEIRS) - set(told) == set()
    for name, here in told.items():
        assert is_not_here(here) == (name not in OURS and not hasattr(FlagEmbedding, name) and not is_function(name))


def is_function(name: str) -> bool:
    return hasattr(model_mapping, name)


def test_every_name_to_import_is_there() -> None:
    for there, here in rows("Imports"):
        for name in [*named(there), *named(here)]:
            if not is_not_here(here) and name not in {"FlagEmbedding", *OURS} and not is_function(name):
                assert getattr(FlagEmbedding, name)


METHODS = [(owner, name, here) for owner, names, here in rows("Methods") for name in named(names)]


def test_every_method_is_named_once() -> None:
    known = {(owner, name) for owner, methods in THEIRS.items() for name in methods or () if name != "__init__"}
    told = [(owner.strip("`"), name) for owner, name, _ in METHODS]
    assert sorted(told) == sorted(known)


@pytest.mark.parametrize(("owner", "method", "here"), METHODS)
def test_a_method_is_there_or_not_as_it_is_said(owner: str, method: str, here: str) -> None:
    assert hasattr(OURS[owner.strip("`")], method) != is_not_here(here)


def arguments(constructors: bool) -> dict[str, list[tuple[str, str, str]]]:
    """Return where each argument of 1.4.2 stands (class, method) and with which default."""
    found: dict[str, list[tuple[str, str, str]]] = {}
    for owner, methods in THEIRS.items():
        for method, taken in (methods or {}).items():
            if (method in CONSTRUCTORS) == constructors and owner in OURS:
                for argument, default in taken.items():
                    found.setdefault(argument, []).append((owner, method, default))
    return found


TABLES = {True: rows("Arguments of constructors"), False: rows("Arguments of methods")}
TOLD = [(flag, name, here) for flag, table in TABLES.items() for there, here in table for name in named(there)]


@pytest.mark.parametrize("constructors", [True, False])
def test_every_argument_is_named_once(constructors: bool) -> None:
    assert sorted(name for flag, name, _ in TOLD if flag == constructors) == sorted(arguments(constructors))


@pytest.mark.parametrize(("constructors", "argument", "here"), TOLD)
def test_a_default_differs_only_where_it_is_said(constructors: bool, argument: str, here: str) -> None:
    for owner, method, default in arguments(constructors)[argument]:
        call = OURS[owner] if method == "__init__" else getattr(OURS[owner], method, None)
        if call is None:  # its row among the methods says so
            continue
        parameters = inspect.signature(call).parameters
        if argument not in parameters:
            by_name = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
            assert by_name, (owner, method)
            continue
        ours = parameters[argument].default
        written = "required" if ours is inspect.Parameter.empty else repr(ours)
        if default == "required":  # a default where there was none breaks no call
            continue
        if written != default:
            assert f"`{written}`" in here, (owner, method)
