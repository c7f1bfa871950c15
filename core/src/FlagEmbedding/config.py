"""What the catalogue says of a model: plain, frozen data. Importing this imports no torch."""

from __future__ import annotations

import dataclasses
import string
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Self, overload

from FlagEmbedding.errors import ConfigError
from FlagEmbedding.references import is_reference, load_reference

if TYPE_CHECKING:
    from FlagEmbedding.abc.inference import AbsEmbedder


class PoolingMethod(StrEnum):
    """The well-known ways to make one vector of a text's token vectors; plugins may register others by name."""

    LAST_TOKEN = "last_token"  # noqa: S105 - no password
    CLS = "cls"
    MEAN = "mean"


class EmbedderModelClass(StrEnum):
    """The well-known keys of embedder classes; plugins may register others."""

    ENCODER_ONLY_BASE = "encoder-only-base"
    ENCODER_ONLY_M3 = "encoder-only-m3"
    DECODER_ONLY_BASE = "decoder-only-base"
    DECODER_ONLY_ICL = "decoder-only-icl"
    DECODER_ONLY_PSEUDO_MOE = "decoder-only-pseudo_moe"


@dataclass(frozen=True)
class ModelClass:
    """A model class that a plugin offers under a key such as ``"encoder-only-m3"``.

    Attributes:
        reference: ``"module:Class"``, imported on first use.
        exports: Public names under which ``from FlagEmbedding import NAME`` gives the class.
        model_types: The ``model_type``s in ``config.json`` of unregistered models that this class loads.
        pooling: The pooling of such a model whose files name none.
    """

    reference: str
    exports: tuple[str, ...] = ()
    model_types: tuple[str, ...] = ()
    pooling: str = PoolingMethod.CLS

    def __post_init__(self) -> None:
        _require(is_reference(self.reference), f"a model class is 'module:Class', not {self.reference!r}")


class _ModelClassAttribute:
    """The attribute ``model_class``: written as a class or as ``"module:Class"``, read as the class.

    A data descriptor, so that the catalogue can be built and shown without importing a model class (and torch).
    """

    @overload
    def __get__(self, config: None, owner: type) -> Any: ...

    @overload
    def __get__(self, config: object, owner: type) -> type[AbsEmbedder]: ...

    def __get__(self, config: object | None, owner: type) -> Any:
        if config is None:
            raise AttributeError("model_class")  # dataclasses ask the class for a default; there is none
        value = config.__dict__["model_class"]
        return load_reference(value) if isinstance(value, str) else value

    def __set__(self, config: object, value: type[AbsEmbedder] | str) -> None:
        config.__dict__["model_class"] = value


@dataclass(frozen=True, eq=False, repr=False)
class EmbedderConfig:
    """How one embedding model is loaded and used.

    Attributes:
        model_class: The class, or ``"module:Class"``; reading it gives the class.
        pooling_method: A :class:`PoolingMethod`, or the name of a pooling function that a plugin registers.
        trust_remote_code: Whether the official hub repository needs its own Python code; honoured for that repository
            only, never because a folder has the same name.
        query_instruction_format: Two ``{}``: the instruction, then the query.
        hub_id: The official repository; a bare name loads it.
        query_instruction: The instruction of the model card for retrieval queries.
        query_instruction_required: Whether the card requires it. Where it is optional it stays off by default.
        passage_instruction: What the card puts before passages (E5: ``"passage: "``).
        passage_instruction_format: Two ``{}``: the passage instruction, then the passage.
        max_length: Tokens the card uses, special tokens included.
        dimension: Length of a vector.
        matryoshka_dims: Shorter lengths that the card documents, for ``truncate_dim``.
        is_causal: Attention direction, where the backbone's own default is wrong for this model (``False`` for the
            bidirectional gte-Qwen2); ``None`` leaves the checkpoint's.
        append_eos: Whether each text must end in the tokenizer's end-of-sequence token, asserted at load and repaired;
            or another token's text, asserted. False leaves it to the checkpoint's own ``add_eos_token``.
        languages: ISO 639-1 codes, or ``("multilingual",)``.
        licence: SPDX identifier, or the card's name for it.
        source: Where these values were read.
    """

    model_class: _ModelClassAttribute = _ModelClassAttribute()
    pooling_method: PoolingMethod | str  # type: ignore[misc]  # the descriptor above is no default
    trust_remote_code: bool = False
    query_instruction_format: str = "{}{}"
    hub_id: str | None = None
    query_instruction: str | None = None
    query_instruction_required: bool = True
    passage_instruction: str | None = None
    passage_instruction_format: str = "{}{}"
    max_length: int | None = None
    dimension: int | None = None
    matryoshka_dims: tuple[int, ...] = ()
    is_causal: bool | None = None
    append_eos: bool | str = False
    languages: tuple[str, ...] = ()
    licence: str | None = None
    source: str | None = None

    def __post_init__(self) -> None:
        for name, value in self.as_dict().items():
            if name in _CHECKS:
                is_valid, description = _CHECKS[name]
                _require(is_valid(value), f"{name} is {description}, not {value!r}")
        object.__setattr__(self, "pooling_method", _as_pooling(self.pooling_method))
        for name in ("query_instruction_format", "passage_instruction_format"):
            check_instruction_format(getattr(self, name), name)

    @property
    def model_class_reference(self) -> str:
        """The model class as ``"module:Class"``, without importing it."""
        value = self.__dict__["model_class"]
        return value if isinstance(value, str) else f"{value.__module__}:{value.__qualname__}"

    def replace(self, **changes: Any) -> Self:
        """Return a copy with ``changes``, without importing the model class as ``dataclasses.replace`` would."""
        return type(self)(**{**self.as_dict(), **changes})

    def as_dict(self) -> dict[str, Any]:
        """Return every attribute by name; ``model_class`` as it was given, not imported."""
        return {field.name: self.__dict__[field.name] for field in dataclasses.fields(self)}

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and _comparable(self) == _comparable(other)

    def __hash__(self) -> int:
        return hash(_comparable(self))

    def __repr__(self) -> str:
        """Show the four attributes that a caller chooses between; the rest is on ``flagembedding models --json``."""
        module, _, name = self.model_class_reference.partition(":")
        return (
            f"{type(self).__name__}(model_class=<class '{module}.{name}'>, pooling_method={self.pooling_method!r}, "
            f"trust_remote_code={self.trust_remote_code!r}, "
            f"query_instruction_format={self.query_instruction_format!r})"
        )


def check_instruction_format(text: object, name: str) -> None:
    """Raise :class:`ConfigError` unless ``text`` has exactly two plain ``{}``: instruction, then text."""
    try:
        parsed = list(string.Formatter().parse(text)) if isinstance(text, str) else []
    except ValueError:  # a single brace
        parsed = []
    fields = [(field, spec, conversion) for _, field, spec, conversion in parsed if field is not None]
    _require(
        fields == [("", "", None)] * 2, f"{name} must have exactly two '{{}}' (instruction, then text), not {text!r}"
    )


def _comparable(config: EmbedderConfig) -> tuple[Any, ...]:
    values = config.as_dict()
    return (config.model_class_reference, *[value for name, value in values.items() if name != "model_class"])


def _as_pooling(name: str) -> PoolingMethod | str:
    return next((known for known in PoolingMethod if known == name), name)


def _is_class(value: object) -> bool:
    return is_reference(value) if isinstance(value, str) else isinstance(value, type)


def _is_name(value: object) -> bool:
    return isinstance(value, str) and value != ""


def _is_text(value: object) -> bool:
    return value is None or isinstance(value, str)


def _is_flag(value: object) -> bool:
    return isinstance(value, bool)


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _is_tuple_of(is_item: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: isinstance(value, tuple) and all(map(is_item, value))


_TEXT = (_is_text, "a string or None")
_COUNT = (lambda value: value is None or _is_count(value), "a positive number or None")
_FLAG = (_is_flag, "True or False")

_CHECKS: dict[str, tuple[Callable[[object], bool], str]] = {
    "model_class": (_is_class, "a class or 'module:Class'"),
    "pooling_method": (_is_name, "a PoolingMethod or a name"),
    "trust_remote_code": _FLAG,
    "hub_id": _TEXT,
    "query_instruction": _TEXT,
    "query_instruction_required": _FLAG,
    "passage_instruction": _TEXT,
    "max_length": _COUNT,
    "dimension": _COUNT,
    "matryoshka_dims": (_is_tuple_of(_is_count), "a tuple of positive numbers"),
    "is_causal": (lambda value: value is None or _is_flag(value), "True, False or None"),
    "append_eos": (lambda value: _is_flag(value) or _is_name(value), "True, False or a token's text"),
    "languages": (_is_tuple_of(_is_name), "a tuple of language codes"),
    "licence": _TEXT,
    "source": _TEXT,
}


def _require(condition: bool, message: str) -> None:
    if not condition:
        raise ConfigError(f"{message}.")
