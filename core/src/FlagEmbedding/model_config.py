"""What the configurations of embedders and rerankers have in common: frozen, checked, shown without an import."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Generic, Self, TypeAlias, TypeVar, overload

from FlagEmbedding.errors import ConfigError
from FlagEmbedding.references import is_reference, load_reference, reference_of

M = TypeVar("M")

Check: TypeAlias = tuple[Callable[[object], bool], str]
"""Whether a value is valid, and what a valid one is, in words."""


class ModelClassAttribute(Generic[M]):
    """The attribute ``model_class``: written as a class or as ``"module:Class"``, read as the class.

    A data descriptor, so that the catalogue can be built and shown without importing a model class (and torch).
    """

    @overload
    def __get__(self, config: None, owner: type) -> Any: ...

    @overload
    def __get__(self, config: object, owner: type) -> type[M]: ...

    def __get__(self, config: object | None, owner: type) -> Any:
        if config is None:
            raise AttributeError("model_class")  # dataclasses ask the class for a default; there is none
        value = config.__dict__["model_class"]
        return load_reference(value)

    def __set__(self, config: object, value: type[M] | str) -> None:
        config.__dict__["model_class"] = value


class ModelConfig:
    """The behaviour of a configuration; the subclasses are dataclasses, each with its attributes in its own order."""

    trust_remote_code: bool
    hub_id: str | None
    unsupported: str | None

    checks: ClassVar[Mapping[str, Check]] = {}
    """By attribute: what a valid value is."""

    shown: ClassVar[tuple[str, ...]] = ()
    """The attributes that a caller chooses between; ``repr`` shows these, ``flagembedding models --json`` all."""

    def __post_init__(self) -> None:
        for name, value in self.as_dict().items():
            if name in self.checks:
                is_valid, description = self.checks[name]
                require(is_valid(value), f"{name} is {description}, not {value!r}")

    @property
    def model_class_reference(self) -> str:
        """The model class as ``"module:Class"``, without importing it."""
        return reference_of(self.__dict__["model_class"])

    def replace(self, **changes: Any) -> Self:
        """Return a copy with changes, without importing the model class as ``dataclasses.replace`` would.

        Args:
            **changes: Attributes with their new values.

        Returns:
            A configuration of the same kind.

        Raises:
            ConfigError: A value is not valid.
        """
        return type(self)(**{**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Return every attribute by name; ``model_class`` as it was given, not imported."""
        return {field.name: self.__dict__[field.name] for field in dataclasses.fields(self)}  # type: ignore[arg-type]

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _comparable(self) == _comparable(other)

    def __hash__(self) -> int:
        return hash((self.model_class_reference, self.hub_id))

    def __repr__(self) -> str:
        module, _, name = self.model_class_reference.partition(":")
        shown = "".join(f", {attribute}={getattr(self, attribute)!r}" for attribute in self.shown)
        return f"{type(self).__name__}(model_class=<class '{module}.{name}'>{shown})"


def _comparable(config: ModelConfig) -> dict[str, Any]:
    return {**config.as_dict(), "model_class": config.model_class_reference}


def require(condition: bool, message: str) -> None:
    """Raise :class:`ConfigError` with ``message`` unless ``condition`` holds."""
    if not condition:
        raise ConfigError(f"{message}.")


def is_class(value: object) -> bool:
    """Say whether ``value`` is a class or has the form ``"module:Class"``."""
    return is_reference(value) if isinstance(value, str) else isinstance(value, type)


def is_name(value: object) -> bool:
    """Say whether ``value`` is a string that is not empty."""
    return isinstance(value, str) and value != ""


def is_flag(value: object) -> bool:
    """Say whether ``value`` is True or False."""
    return isinstance(value, bool)


def is_count(value: object) -> bool:
    """Say whether ``value`` is a positive whole number."""
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def is_tuple_of(is_item: Callable[[object], bool]) -> Callable[[object], bool]:
    """Return a check for tuples all of whose items pass ``is_item``."""
    return lambda value: isinstance(value, tuple) and all(map(is_item, value))


def options_besides(*taken: str) -> Check:
    """Return the check of further arguments, none of which may be one that is given in another way already.

    Such an option would be an argument given twice, or go before what the caller decides: whether code may run, say.
    """

    def is_valid(value: object) -> bool:
        return isinstance(value, Mapping) and all(_is_option(name) and name not in taken for name in value)

    return is_valid, f"a mapping of argument names, none of {', '.join(taken)}"


def _is_option(name: object) -> bool:
    return isinstance(name, str) and name.isidentifier()


TEXT: Check = (lambda value: value is None or isinstance(value, str), "a string or None")
COUNT: Check = (lambda value: value is None or is_count(value), "a positive number or None")
FLAG: Check = (is_flag, "True or False")
NAME: Check = (is_name, "a name")
VECTOR: Check = (lambda value: value in (None, "sentence_embedding"), "'sentence_embedding'")
"""What a module of sentence-transformers may read and write here: the vector of a text, not those of its tokens."""

COMMON: Mapping[str, Check] = {
    "model_class": (is_class, "a class or 'module:Class'"),
    "trust_remote_code": FLAG,
    "hub_id": TEXT,
    "max_length": COUNT,
    "languages": (is_tuple_of(is_name), "a tuple of language codes"),
    "licence": TEXT,
    "source": TEXT,
    "unsupported": TEXT,
}
"""The checks of the attributes that every configuration has."""
