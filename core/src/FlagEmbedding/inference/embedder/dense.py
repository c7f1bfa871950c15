"""A backbone with a pooling: what encoders and decoders have in common. No loop over batches: that is the engine's."""

from __future__ import annotations

import functools
from typing import Any, TypeAlias

import torch
from torch import Tensor

from FlagEmbedding.abc.inference import AbsEmbedder
from FlagEmbedding.abc.inference.options import check_count
from FlagEmbedding.engine.forward import TokenVectors
from FlagEmbedding.engine.outputs import DenseSink
from FlagEmbedding.engine.pooling import PoolingFunction
from FlagEmbedding.engine.runner import Engine
from FlagEmbedding.engine.running import pooled
from FlagEmbedding.engine.tokenizing import TextTokenizer
from FlagEmbedding.errors import ModelClassError, OptionError
from FlagEmbedding.inference.loaded import LoadedModel
from FlagEmbedding.references import POOLING_FUNCTIONS
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
        pooling_method: ``"cls"``, ``"mean"``, ``"last_token"``, a name that a plugin registers, ``"module:function"``,
            or a :data:`~FlagEmbedding.engine.pooling.PoolingFunction`.
        trust_remote_code: Whether Python code of the checkpoint may run.
        cache_dir: Where the hub's files are kept.
        revision: Branch, tag or commit on the hub.
        token: Access token of the hub.
        local_files_only: Never ask the hub.
        attn_implementation: transformers' attention (``"sdpa"``, ``"eager"``, ...); None means its own choice.
        **kwargs: As for :class:`~FlagEmbedding.abc.inference.AbsEmbedder`.

    Raises:
        CheckpointError: Files are missing, damaged, or do not fit together.
        ModelClassError: The pooling is unknown.
    """

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
        **kwargs: Any,
    ) -> None:
        super().__init__(model_name_or_path, **kwargs)
        self.pooling_method = pooling_method
        self._pool = _pooling_function(pooling_method)
        self._load(
            trust_remote_code=trust_remote_code,
            attn_implementation=attn_implementation,
            cache_dir=cache_dir,
            revision=revision,
            token=token,
            local_files_only=local_files_only,
        )
        self._check_dimension(self.truncate_dim)

    def _set_tokenizer(self, source: str, tokenizer: Any) -> None:
        super()._set_tokenizer(source, tokenizer)
        self._tokenizer = TextTokenizer(tokenizer)

    @property
    def dimension(self) -> int:
        """Length of the vectors, before any truncation."""
        width: int = self._config.get_text_config().hidden_size
        return width

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
        return sink.vectors.numpy() if convert_to_numpy else sink.vectors

    def _vectors(self, hidden: TokenVectors, width: int) -> Tensor:
        rows = pooled(self._pool, hidden)
        if rows.ndim != 2 or rows.shape[1] != self.dimension:  # noqa: PLR2004 - a table
            raise OptionError(
                f"the pooling {self.pooling_method!r} made {tuple(rows.shape)}; it should give one vector of "
                f"{self.dimension} a text."
            )
        vectors = rows[:, :width]
        return torch.nn.functional.normalize(vectors, dim=-1) if self.normalize_embeddings else vectors

    def _check_dimension(self, truncate_dim: int | None) -> int:
        wanted = self.dimension if truncate_dim is None else check_count(truncate_dim, "truncate_dim")
        if wanted > self.dimension:
            raise OptionError(f"truncate_dim={wanted} is more than the {self.dimension} dimensions of this model.")
        return wanted

    def _engine_on(self, device: str) -> TextEngine:
        self._move_to(device)
        return self._engine

    def _set_up(self, network: Any) -> None:
        self._engine: TextEngine = Engine(self._tokenizer, self._fastest(network), self._device)


def _pooling_function(pooling: str | PoolingFunction) -> PoolingFunction:
    found = POOLING_FUNCTIONS.load(pooling) if isinstance(pooling, str) else pooling
    if not callable(found):
        raise ModelClassError(
            f"pooling_method={pooling!r} is no pooling: give a name, 'module:function' or a function."
        )
    function: PoolingFunction = found
    return function
