"""Constructing a model class: what the caller says always reaches it, what the catalogue says where it is taken.

A class of one's own need not take every argument that the catalogue has a value for: one that pools in a way of its own
takes no ``pooling_method``. What the catalogue only says by default is then left out. Nothing else ever is.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any, TypeVar

from FlagEmbedding.errors import ModelClassError, OptionError
from FlagEmbedding.spelling import did_you_mean, reject_unknown_options

M = TypeVar("M")

# What a class need not take from the catalogue: it may pool in a way of its own, and the others change no vector.
_SPARE = frozenset({"pooling_method", "prompts", "similarity_fn_name"})

# The class that is being constructed, and what it may hand back unread.
_offered: ContextVar[tuple[type, frozenset[str]] | None] = ContextVar("FlagEmbedding.construction", default=None)


@dataclass(frozen=True)
class Constructor:
    """What can be said to the constructor of a class, by its signature and those it passes keyword arguments on to.

    Attributes:
        names: Arguments with a name.
        open: Whether there is a ``**kwargs`` on the way, which takes or refuses what has no name.
    """

    names: frozenset[str]
    open: bool


def constructor_of(model_class: type) -> Constructor:
    """Return what the constructor of ``model_class`` takes.

    A class whose constructor has ``**kwargs`` passes them on to the next one of its bases; the contracts themselves
    (``AbsEmbedder``, ``AbsReranker``) refuse what has no name.
    """
    names: set[str] = set()
    is_open = False
    for base in model_class.__mro__:
        if base is object or "__init__" not in vars(base):
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        names |= {parameter.name for parameter in parameters if _has_name(parameter)}
        passes_on = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters)
        is_open = is_open or passes_on
        if not passes_on or vars(base).get("refuses_unknown_options"):
            break
    return Constructor(frozenset(names - {"self"}), is_open)


def construct(
    model_class: Callable[..., M],
    source: str,
    said: Mapping[str, Any],
    known: Mapping[str, Any],
    defaults: Mapping[str, Any],
) -> M:
    """Return ``model_class(source, ...)``.

    Args:
        model_class: The class.
        source: Its first argument: a folder or a hub id.
        said: What the caller says.
        known: What the catalogue says, where the caller says nothing.
        defaults: What some of these are where nobody says anything. Such a value need not be taken, and neither need
            the catalogue's ``pooling_method`` and the like, whatever it is.

    Raises:
        ModelClassError: It is no class.
        OptionError: The constructor does not take an argument.
    """
    if not isinstance(model_class, type):
        raise ModelClassError(f"{model_class!r} is no class, so it is no model class.")
    constructor = constructor_of(model_class)
    options = {**known, **said}
    silent = {name for name, value in defaults.items() if name in options and _is(options[name], value)}
    unread = (silent | (_SPARE & (known.keys() - said.keys()))) - constructor.names
    if not constructor.open:
        options = {name: value for name, value in options.items() if name not in unread}
        _check(model_class, constructor, options, said)
    with _offering(model_class, frozenset(unread)):
        made: M = model_class(source, **options)
        return made


def refuse_unknown(model: object, options: Mapping[str, Any]) -> None:
    """Refuse what the constructor of ``model`` was given and no class took; called by the last of them.

    Raises:
        OptionError: Always, but for what the catalogue offered and this class need not take.
    """
    offered = _offered.get()
    unread = offered[1] if offered is not None and offered[0] is type(model) else frozenset()
    left = {name: value for name, value in options.items() if name not in unread}
    reject_unknown_options(left, constructor_of(type(model)).names, type(model).__name__)


def _is(value: object, default: object) -> bool:
    return type(value) is type(default) and value == default


def _has_name(parameter: inspect.Parameter) -> bool:
    return parameter.kind in (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)


def _check(model_class: type, constructor: Constructor, options: Mapping[str, Any], said: Mapping[str, Any]) -> None:
    for name, value in options.items():
        if name not in constructor.names:
            who = "the caller" if name in said else "the model's configuration"
            hint = did_you_mean(name, constructor.names) or f"Known: {', '.join(sorted(constructor.names))}."
            raise OptionError(
                f"{model_class.__name__} takes no {name!r} in its constructor, and {who} says {name}={value!r}. {hint}"
            )


@contextlib.contextmanager
def _offering(model_class: type, names: frozenset[str]) -> Iterator[None]:
    token = _offered.set((model_class, names))
    try:
        yield
    finally:
        _offered.reset(token)
