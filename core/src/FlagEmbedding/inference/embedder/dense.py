"""A backbone with a pooling: what encoders and decoders have in common. No loop over batches: that is the engine's."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, ClassVar, TypeAlias

import numpy as np
import torch
from torch import Tensor

from FlagEmbedding.abc.inference import AbsEmbedder
from FlagEmbedding.abc.inference.options import check_count
from FlagEmbedding.engine.forward import TokenVectors
from FlagEmbedding.engine.outputs import DenseSink, check_finite
from FlagEmbedding.engine.pooling import PoolingFunction, pooling_function, vectors_behind_one_another
from FlagEmbedding.engine.projection import as_modules, load_projection
from FlagEmbedding.engine.runner import Engine
from FlagEmbedding.engine.running import pooled
from FlagEmbedding.engine.tokenizing import TextTokenizer, put_into_lower_case
from FlagEmbedding.errors import OptionError
from FlagEmbedding.inference.loaded import LoadedModel
from FlagEmbedding.spelling import reject_unknown_options

TextEngine: TypeAlias = Engine[str, list[int], TokenVectors]
"""Texts in, token vectors of a batch out."""

# What a call may say: to the template of encode, and to encode_single_device.
_TEMPLATE_OPTIONS = ("batch_size", "convert_to_numpy", "instruction", "instruction_format", "max_length")
_ENCODE_OPTIONS = ("show_progress", "show_progress_bar", "truncate_dim")


class DenseEmbedder(LoadedModel, AbsEmbedder):
    """One vector a text: token vectors of a transformers backbone, pooled and normalised in float32.

    Args:
        model_name_or_path: A local folder or a hub id.
        pooling_method: ``"cls"``, ``"mean"``, ``"last_token"``, a name that a plugin registers, several of these joined
            by ``+``, ``"module:function"``, or a :data:`~FlagEmbedding.engine.pooling.PoolingFunction`.
        trust_remote_code: Whether Python code of the checkpoint may run.
        cache_dir: Where the hub's files are kept.
        revision: Branch, tag or commit on the hub.
        token: Access token of the hub.
        local_files_only: Never ask the hub.
        attn_implementation: transformers' attention (``"sdpa"``, ``"eager"``, ...); None means its own choice.
        modules: Layers that follow the pooling, as sentence-transformers keeps them: the class (``"Dense"``,
            ``"LayerNorm"``, ``"Normalize"``) and the folder in the model's, in order.
        lower_case: Whether texts are put into lower case, whatever the tokenizer does.
        default_instruction: Put before each text by :meth:`encode`, where a call names no instruction.
        engine: What runs the backbone in place of torch: a name that a plugin registers (``"onnx"`` comes with
            flagembedding-onnx), or ``"module:function"``. None means the core's own. Afterwards the attribute
            ``engine`` says in words what runs.
        **kwargs: As for :class:`~FlagEmbedding.abc.inference.AbsEmbedder`.

    Raises:
        CheckpointError: Files are missing, damaged, or do not fit together.
        ModelClassError: The pooling is unknown.
        OptionError: The engine is unknown, or does not run this model.
    """

    set_up_anew: ClassVar[tuple[str, ...]] = (*LoadedModel.set_up_anew, "_projection")

    def __init__(
        self,
        model_name_or_path: str,
        *,
        pooling_method: str | PoolingFunction = "cls",
        trust_remote_code: bool = False,
        cache_dir: str | None = None,
        revision: str | None = None,
        token: str | None = None,
        local_files_only: bool = False,
        attn_implementation: str | None = None,
        modules: Iterable[tuple[str, str]] = (),
        lower_case: bool = False,
        default_instruction: str | None = None,
        engine: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model_name_or_path, **kwargs)
        self.pooling_method = pooling_method
        self.modules = as_modules(modules)
        self.lower_case = lower_case
        self.default_instruction = default_instruction
        self._pool = pooling_function(pooling_method)
        self._load(
            trust_remote_code=trust_remote_code,
            attn_implementation=attn_implementation,
            engine=engine,
            cache_dir=cache_dir,
            revision=revision,
            token=token,
            local_files_only=local_files_only,
        )
        self._check_dimension(self.truncate_dim)

    def _set_tokenizer(self, source: str, tokenizer: Any) -> None:
        if self.lower_case:
            put_into_lower_case(tokenizer)
        super()._set_tokenizer(source, tokenizer)
        self._tokenizer = TextTokenizer(tokenizer)

    @property
    def dimension(self) -> int:
        """Length of the vectors, before any truncation."""
        return self._projection.dimension

    def encode_single_device(
        self,
        sentences: list[str],
        batch_size: int = 256,
        max_length: int | None = None,
        convert_to_numpy: bool = True,
        device: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode ready-made texts on one device.

        Args:
            sentences: The texts, instruction included.
            batch_size: At most so many texts in one forward.
            max_length: Tokens of a text that count; never more than the model has positions for.
            convert_to_numpy: numpy, or else torch.
            device: As torch spells it; the model moves there if it is elsewhere.
            **kwargs: ``show_progress`` (True, False, or None for "on a terminal, if it takes long"; also
                ``show_progress_bar``) and ``truncate_dim``.

        Returns:
            float32 ``[texts, dimension]``, in order.

        Raises:
            OptionError: An option is unknown or out of range.
        """
        engine = self._engine_on(device or self.target_devices[0])
        return self._encode_on(engine, sentences, batch_size, max_length, convert_to_numpy, kwargs)

    def _encode_on(
        self,
        engine: TextEngine,
        sentences: list[str],
        batch_size: int,
        max_length: int | None,
        convert_to_numpy: bool,
        options: dict[str, Any],
    ) -> Any:
        """Encode with ``engine``; a class may build one of its own for some calls (another forward or tokenizer)."""
        unknown = {name: value for name, value in options.items() if name not in _ENCODE_OPTIONS}
        reject_unknown_options(unknown, [*_TEMPLATE_OPTIONS, *_ENCODE_OPTIONS], "encode")
        truncate_dim = options.get("truncate_dim")
        width = self._check_dimension(self.truncate_dim if truncate_dim is None else truncate_dim)
        sink = DenseSink(len(sentences), width)
        engine.run(
            sentences,
            functools.partial(self._vectors, width=width),
            sink,
            max_length=self._token_limit(max_length),
            batch_size=batch_size,
            show_progress=options.get("show_progress", options.get("show_progress_bar")),
        )
        self._check_finite(sink.vectors.numpy())
        return sink.vectors.numpy() if convert_to_numpy else sink.vectors

    def _check_finite(self, vectors: np.ndarray[Any, np.dtype[np.float32]]) -> None:
        check_finite(torch.from_numpy(vectors), "vectors", str(self.model_name_or_path), self._dtype)

    def _vectors(self, hidden: TokenVectors, width: int) -> Tensor:
        rows = pooled(self._pool, hidden)
        wanted = self._projection.given
        if rows.ndim != 2 or rows.shape[1] != wanted:  # noqa: PLR2004 - a table
            raise OptionError(
                f"the pooling {self.pooling_method!r} made {tuple(rows.shape)}; it should give one vector of "
                f"{wanted} a text."
            )
        vectors = self._projection(rows)[:, :width]
        return torch.nn.functional.normalize(vectors, dim=-1) if self.normalize_embeddings else vectors

    def _longest_passage(self) -> int:
        return self._token_limit(self.passage_max_length)

    def _check_dimension(self, truncate_dim: int | None) -> int:
        wanted = self.dimension if truncate_dim is None else check_count(truncate_dim, "truncate_dim")
        if wanted > self.dimension:
            raise OptionError(f"truncate_dim={wanted} is more than the {self.dimension} dimensions of this model.")
        return wanted

    def _engine_on(self, device: str) -> TextEngine:
        self._move_to(device)
        return self._engine

    def _set_up(self, network: Any) -> None:
        given = self._config.get_text_config().hidden_size * vectors_behind_one_another(self._pool)
        self._projection = load_projection(self._checkpoint, self.modules, given).to(self._device)
        self._forward = self._fastest(network)
        self._engine: TextEngine = Engine(self._tokenizer, self._forward, self._room)
