"""What a program registers for itself, without a package: everything that a plugin contributes through hooks.

It counts in this process, at once. Nothing here imports torch.
"""

from __future__ import annotations

import functools
import itertools
import os
import sys
from collections.abc import Callable, Iterable
from enum import Enum
from typing import Any, Literal, TypeVar

from FlagEmbedding.config import EmbedderConfig, ModelClass, RerankerConfig
from FlagEmbedding.errors import ConfigError
from FlagEmbedding.model_config import ModelConfig
from FlagEmbedding.plugins.hookspecs import hookimpl
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.references import is_reference, reference_of
from FlagEmbedding.registry.classes import EMBEDDER_CLASSES, RERANKER_CLASSES, ClassTable
from FlagEmbedding.registry.extensions import ENGINES, POOLINGS
from FlagEmbedding.registry.mapping import EMBEDDERS, RERANKERS, ModelMapping
from FlagEmbedding.registry.origin import here
from FlagEmbedding.registry.temporary import undo_at_the_end

C = TypeVar("C", bound=ModelConfig)

# The class of a kind of model is known by the one method that its author implements.
_CLASSES: dict[str, tuple[ClassTable, str]] = {
    "embedder": (EMBEDDER_CLASSES, "encode_single_device"),
    "reranker": (RERANKER_CLASSES, "compute_score_single_gpu"),
}

_locators = itertools.count(1)


def register_embedder(name: str, config: EmbedderConfig, aliases: Iterable[str] = (), *, replace: bool = False) -> None:
    """Register an embedding model, so that ``FlagAutoModel.from_finetuned(name)`` loads it.

    Args:
        name: As the caller of ``from_finetuned`` will write it; with ``config.hub_id``, the last part of that.
        config: ``EmbedderConfig(model_class, pooling_method, ...)``.
        aliases: Other names of the model; each becomes an entry of the mapping.
        replace: Whether to put it in the place of what is registered under one of these names already.

    Raises:
        ConfigError: A name is no usable string, or ``config`` is no ``EmbedderConfig``.
        NameConflictError: A plugin or this process registered one of the names already, and ``replace`` is False. To
            say the same again is no conflict.
    """
    _register_model(EMBEDDERS, name, config, aliases, replace=replace)


def register_reranker(name: str, config: RerankerConfig, aliases: Iterable[str] = (), *, replace: bool = False) -> None:
    """Register a reranker, so that ``FlagAutoReranker.from_finetuned(name)`` loads it.

    Args:
        name: As the caller of ``from_finetuned`` will write it; with ``config.hub_id``, the last part of that.
        config: ``RerankerConfig(model_class, ...)``.
        aliases: Other names of the model; each becomes an entry of the mapping.
        replace: Whether to put it in the place of what is registered under one of these names already.

    Raises:
        ConfigError: A name is no usable string, or ``config`` is no ``RerankerConfig``.
        NameConflictError: A plugin or this process registered one of the names already, and ``replace`` is False.
    """
    _register_model(RERANKERS, name, config, aliases, replace=replace)


def register_pooling(name: str, function: Callable[[Any, Any], Any] | str, *, replace: bool = False) -> None:
    """Register a pooling function, to be named with ``pooling_method=``.

    Args:
        name: Without ``+``, which joins several poolings.
        function: Takes token vectors, float32 ``[texts, tokens, width]``, and the mask, bool ``[texts, tokens]`` (True
            where there is a token), and returns float32 ``[texts, width]``; or ``"module:function"``, imported when it
            is used. A model on several devices sends it to worker processes, so there it must stand at the top level
            of a module: a lambda works in this process only, and using it on several devices is a ``WorkerError``.
        replace: Whether to put it in the place of what is registered under this name already.

    Raises:
        ConfigError: The name or the function is none.
        NameConflictError: A plugin or this process registered the name already, and ``replace`` is False.
    """
    _check_plain(name, "pooling method", "+:")
    if not callable(function) and not _is_reference(function):
        raise ConfigError(
            f"the pooling method {name!r} needs a function of token vectors and a mask, or 'module:function', not "
            f"{function!r}."
        )
    POOLINGS.register([name], function, replace=replace)


def register_model_class(
    key: str | Enum,
    model_class: type | str | ModelClass,
    *,
    kind: Literal["embedder", "reranker"] | None = None,
    replace: bool = False,
) -> None:
    """Register a model class, to be named with ``model_class=``.

    Args:
        key: Such as ``"encoder-only-acme"``.
        model_class: A subclass of ``AbsEmbedder`` or ``AbsReranker``, ``"module:Class"``, or a ``ModelClass``, which
            also says which models that nobody registered it loads, and under which public names it is there.
        kind: Which of the two it is; None: as the class itself shows. A string is not imported to find out.
        replace: Whether to put it in the place of what is registered under this key already.

    Raises:
        ConfigError: It is no model class, or its kind is not known.
        NameConflictError: A plugin or this process registered the key already, and ``replace`` is False.
    """
    name = key.value if isinstance(key, Enum) else key
    _check_plain(name, "model class", ":")
    offered = model_class if isinstance(model_class, ModelClass) else ModelClass(model_class)
    table, _ = _CLASSES[_kind_of(name, offered, kind)]
    table.register(name, offered, replace=replace)


def register_engine(name: str, function: Callable[[Any], Any] | str, *, replace: bool = False) -> None:
    """Register an engine, to be named with ``engine=`` of an embedder.

    Args:
        name: Such as ``"acme"``.
        function: From a :class:`FlagEmbedding.engine.running.Backbone` to an
            :class:`FlagEmbedding.engine.running.OtherEngine`; or ``"module:function"``. It is named to worker
            processes by where it stands, so it must stand at the top level of a module.
        replace: Whether to put it in the place of what is registered under this name already.

    Raises:
        ConfigError: The name or the function is none, or the function cannot be imported.
        NameConflictError: A plugin or this process registered the name already, and ``replace`` is False.
    """
    _check_plain(name, "engine", ":")
    ENGINES.register([name], _importable(name, function), replace=replace)


def register_locator(find: Callable[[str], str | os.PathLike[str] | None]) -> None:
    """Register a function that finds the folder of a model: packaged weights, a mirror, another hub.

    Args:
        find: From a model's name (its hub id where one is known) to the local folder that holds it, or None to leave it
            to others. Asked before the plugins, the last one registered first.

    Raises:
        ConfigError: It is no function.
    """
    if not callable(find):
        raise ConfigError(f"a locator is a function from a model's name to its folder or None, not {find!r}.")
    name = f"locator {next(_locators)} of {here()}"
    plugin_manager().register(_Locator(find), name)
    undo_at_the_end(functools.partial(plugin_manager().unregister, name))


class _Locator:
    """A function as a plugin of this process."""

    def __init__(self, find: Callable[[str], str | os.PathLike[str] | None]) -> None:
        self._find = find

    @hookimpl(tryfirst=True)
    def flagembedding_locate_model(self, model_name: str) -> str | os.PathLike[str] | None:
        return self._find(model_name)


def _register_model(mapping: ModelMapping[C], name: str, config: C, aliases: Iterable[str], *, replace: bool) -> None:
    if isinstance(aliases, str):
        raise ConfigError(f"aliases are several names, [{aliases!r}], not one string.")
    mapping.register([name, *aliases], config, replace=replace)


def _check_plain(name: object, kind: str, reserved: str) -> None:
    """Refuse a name that would be read as something else: several names, or the path of an object."""
    if isinstance(name, str) and any(mark in name for mark in reserved):
        marks = " or ".join(map(repr, reserved))
        raise ConfigError(f"{kind} names hold no {marks}, and {name!r} does.")


def _is_reference(value: object) -> bool:
    return isinstance(value, str) and is_reference(value)


def _kind_of(name: str, offered: ModelClass, kind: str | None) -> str:
    if kind is not None and kind not in _CLASSES:
        raise ConfigError(f"kind is one of {', '.join(map(repr, _CLASSES))}, not {kind!r}.")
    shown = [known for known, (_, method) in _CLASSES.items() if hasattr(offered.reference, method)]
    if isinstance(offered.reference, type) and shown != [kind] and (kind or len(shown) != 1):
        raise ConfigError(
            f"{offered.path} is no {kind or 'model'} class: a subclass of AbsEmbedder has encode_single_device(), one "
            f"of AbsReranker compute_score_single_gpu()."
        )
    if kind is None and not shown:
        raise ConfigError(
            f"what {offered.path} is can only be seen by importing it: say kind='embedder' or kind='reranker' for the "
            f"model class {name!r}."
        )
    return kind or shown[0]


def _importable(name: str, function: Any) -> str:
    if _is_reference(function):
        return str(function)
    if not callable(function):
        raise ConfigError(f"the engine {name!r} needs a function or 'module:function', not {function!r}.")
    reference = reference_of(function)
    if not is_reference(reference) or not _stands_there(reference, function):
        raise ConfigError(
            f"the engine {name!r} is a function that cannot be imported ({reference}), so worker processes could not "
            f"find it: define it at the top level of a module."
        )
    return reference


def _stands_there(reference: str, function: Any) -> bool:
    module, _, attribute = reference.partition(":")
    return getattr(sys.modules.get(module), attribute, None) is function
