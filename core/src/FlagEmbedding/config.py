"""What the catalogue says of a model: plain, frozen data. Importing this imports no torch."""

from __future__ import annotations

import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, ClassVar

from FlagEmbedding.model_config import (
    COMMON,
    COUNT,
    FLAG,
    TEXT,
    Check,
    ModelClassAttribute,
    ModelConfig,
    is_class,
    is_count,
    is_flag,
    is_name,
    is_tuple_of,
    options_besides,
    require,
)
from FlagEmbedding.references import reference_of

if TYPE_CHECKING:
    from FlagEmbedding.abc.inference import AbsEmbedder, AbsReranker


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


class RerankerModelClass(StrEnum):
    """The well-known keys of reranker classes; plugins may register others."""

    ENCODER_ONLY_BASE = "encoder-only-base"
    DECODER_ONLY_BASE = "decoder-only-base"
    DECODER_ONLY_LAYERWISE = "decoder-only-layerwise"
    DECODER_ONLY_LIGHTWEIGHT = "decoder-only-lightweight"


@dataclass(frozen=True)
class ModelClass:
    """A model class that a plugin offers under a key such as ``"encoder-only-m3"``.

    Attributes:
        reference: ``"module:Class"``, imported on first use. A program that registers a class for itself may give the
            class; a plugin gives the string, so that listing models imports no model code.
        exports: Public names under which ``from FlagEmbedding import NAME`` gives the class.
        model_types: The ``model_type``s in ``config.json`` of unregistered models that this class loads.
        pooling: For embedders, the pooling of such a model whose files name none.
        architecture: For rerankers, how the ``architectures`` of such a model end: a language model
            (``"ForCausalLM"``) and a classifier on top of it are different rerankers.
    """

    reference: str | type
    exports: tuple[str, ...] = ()
    model_types: tuple[str, ...] = ()
    pooling: str = PoolingMethod.CLS
    architecture: str = "ForCausalLM"

    def __post_init__(self) -> None:
        require(is_class(self.reference), f"a model class is 'module:Class', not {self.reference!r}")

    @property
    def path(self) -> str:
        """The class as ``"module:Class"``, not imported."""
        return reference_of(self.reference)


@dataclass(frozen=True, eq=False, repr=False)
class EmbedderConfig(ModelConfig):
    """How one embedding model is loaded and used.

    Attributes:
        model_class: The class, or ``"module:Class"``; reading it gives the class.
        pooling_method: A :class:`PoolingMethod`, or the name of a pooling function that a plugin registers, or several
            of them joined by ``+``, whose vectors are put behind one another.
        trust_remote_code: Whether the official hub repository needs its own Python code; honoured for that repository
            only, never because a folder has the same name.
        query_instruction_format: Two ``{}``: the instruction, then the query.
        hub_id: The official repository; a bare name loads it.
        query_instruction: The instruction of the model card for retrieval queries.
        query_instruction_required: Whether the card requires it. Where it is optional it stays off by default.
        passage_instruction: What the card puts before passages (E5: ``"passage: "``).
        passage_instruction_format: Two ``{}``: the passage instruction, then the passage.
        max_length: Tokens the card uses, special tokens included.
        dimension: Length of a vector, in components.
        matryoshka_dims: Shorter lengths that the card documents, for ``truncate_dim``.
        is_causal: Attention direction, where the backbone's own default is wrong for this model (``False`` for the
            bidirectional gte-Qwen2); ``None`` leaves the checkpoint's.
        append_eos: Whether each text must end in the tokenizer's end-of-sequence token, asserted at load and repaired;
            or another token's text, asserted. False leaves it to the checkpoint's own ``add_eos_token``.
        languages: ISO 639-1 codes, or ``("multilingual",)``.
        licence: SPDX identifier, or the card's name for it.
        source: Where these values were read.
        unsupported: Why the model cannot be run here, and what to do; loading it says so at once.
        options: Further arguments of the model class (``modules``, the layers that follow the pooling, say); what the
            caller gives goes before them. Not those of ``FlagAutoModel.from_finetuned``, which the caller decides.

    Raises:
        ConfigError: A value is not valid; the message says what a valid one is.
    """

    checks: ClassVar[Mapping[str, Check]] = {
        **COMMON,
        "options": options_besides(
            *("model_name_or_path", "model_class", "normalize_embeddings", "use_fp16", "devices", "pooling_method"),
            *("trust_remote_code", "query_instruction_for_retrieval", "query_instruction_format"),
        ),
        "pooling_method": (is_name, "a PoolingMethod or a name"),
        "query_instruction": TEXT,
        "query_instruction_required": FLAG,
        "passage_instruction": TEXT,
        "dimension": COUNT,
        "matryoshka_dims": (is_tuple_of(is_count), "a tuple of positive numbers"),
        "is_causal": (lambda value: value is None or is_flag(value), "True, False or None"),
        "append_eos": (lambda value: is_flag(value) or is_name(value), "True, False or a token's text"),
    }
    shown: ClassVar[tuple[str, ...]] = ("pooling_method", "trust_remote_code", "query_instruction_format")

    model_class: ModelClassAttribute[AbsEmbedder] = ModelClassAttribute()  # noqa: RUF009 - a descriptor
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
    unsupported: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "pooling_method", _as_pooling(self.pooling_method))
        for name in ("query_instruction_format", "passage_instruction_format"):
            check_instruction_format(getattr(self, name), name)


@dataclass(frozen=True, eq=False, repr=False)
class RerankerConfig(ModelConfig):
    """How one reranker is loaded and used.

    Attributes:
        model_class: The class, or ``"module:Class"``; reading it gives the class.
        trust_remote_code: Whether the official hub repository needs its own Python code; honoured for that repository
            only, never because a folder has the same name.
        hub_id: The official repository; a bare name loads it.
        max_length: Tokens of a pair that the card uses.
        options: Further arguments of the model class, where the card differs from the class's defaults; what the
            caller gives goes before them. Not those of ``FlagAutoReranker.from_finetuned``, which the caller decides.
        languages: ISO 639-1 codes, or ``("multilingual",)``.
        licence: SPDX identifier, or the card's name for it.
        source: Where these values were read.
        unsupported: Why the model cannot be run here, and what to do; loading it says so at once.

    Raises:
        ConfigError: A value is not valid; the message says what a valid one is.
    """

    checks: ClassVar[Mapping[str, Check]] = {
        **COMMON,
        "options": options_besides("model_name_or_path", "model_class", "use_fp16", "trust_remote_code"),
    }
    shown: ClassVar[tuple[str, ...]] = ("trust_remote_code",)

    model_class: ModelClassAttribute[AbsReranker] = ModelClassAttribute()  # noqa: RUF009 - a descriptor
    trust_remote_code: bool = False
    hub_id: str | None = None
    max_length: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    languages: tuple[str, ...] = ()
    licence: str | None = None
    source: str | None = None
    unsupported: str | None = None


def check_instruction_format(text: object, name: str) -> None:
    """Raise :class:`ConfigError` unless ``text`` has exactly two plain ``{}``: instruction, then text."""
    try:
        parsed = list(string.Formatter().parse(text)) if isinstance(text, str) else []
    except ValueError:  # a single brace
        parsed = []
    fields = [(field, spec, conversion) for _, field, spec, conversion in parsed if field is not None]
    require(
        fields == [("", "", None)] * 2, f"{name} must have exactly two '{{}}' (instruction, then text), not {text!r}"
    )


def _as_pooling(name: str) -> PoolingMethod | str:
    return next((known for known in PoolingMethod if known == name), name)
