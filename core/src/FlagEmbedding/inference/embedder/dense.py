"""A backbone with a pooling: what encoders and decoders have in common. No loop over batches: that is the engine's."""

from __future__ import annotations

import functools
import logging
from typing import Any, ClassVar

import torch
from torch import Tensor

from FlagEmbedding.abc.inference import AbsEmbedder
from FlagEmbedding.abc.inference.options import check_count
from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.forward import Hidden, PaddedForward
from FlagEmbedding.engine.limits import check_vocabulary, position_limit
from FlagEmbedding.engine.outputs import DenseSink
from FlagEmbedding.engine.pooling import PoolingFunction
from FlagEmbedding.engine.precision import compute_dtype
from FlagEmbedding.engine.runner import Engine
from FlagEmbedding.engine.tokenizing import TextTokenizer
from FlagEmbedding.errors import ModelClassError, OptionError
from FlagEmbedding.references import POOLING_FUNCTIONS
from FlagEmbedding.spelling import reject_unknown_options

logger = logging.getLogger(__name__)

# None means the model's own limit, but not the 32k and more of today's decoders unless they are asked for.
_DEFAULT_MAX_LENGTH = 8192

# What a call may say: to the template of encode, and to encode_single_device.
_TEMPLATE_OPTIONS = ("batch_size", "convert_to_numpy", "instruction", "instruction_format", "max_length")
_ENCODE_OPTIONS = ("show_progress", "show_progress_bar", "truncate_dim")


class DenseEmbedder(AbsEmbedder):
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

    unused_weights: ClassVar[tuple[str, ...]] = ()
    """Prefixes of weights that checkpoints of this class may hold for another use; any other one is an error."""

    extra_files: ClassVar[tuple[str, ...]] = ()
    """Patterns of files that this class reads beside the weights, so that they are fetched with them."""

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
        hub = {"cache_dir": cache_dir, "revision": revision, "token": token, "local_files_only": local_files_only}
        checkpoint = Checkpoint(
            str(model_name_or_path),
            trust_remote_code=trust_remote_code,
            hub_options={name: value for name, value in hub.items() if value},
            extra_files=self.extra_files,
        )
        self._load(checkpoint, attn_implementation)
        self._check_dimension(self.truncate_dim)

    def _load(self, checkpoint: Checkpoint, attention: str | None) -> None:
        device = self.target_devices[0]
        config = self._load_config(checkpoint)
        config.use_cache = False  # one forward a batch: the keys and values of a decoder are never read again
        tokenizer = self._load_tokenizer(checkpoint)
        dtype = compute_dtype(device, self.use_fp16, self.use_bf16)
        self.model = checkpoint.load_backbone(config, dtype, attention, self.unused_weights)
        check_vocabulary(checkpoint.source, self.model, tokenizer)
        self._limit = position_limit(self.model)
        self._pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self._tokenizer = TextTokenizer(tokenizer)
        self._place(device)
        logger.info("loaded %r: %s, %s, on %s", checkpoint.source, config.model_type, self.model.dtype, device)

    def _load_config(self, checkpoint: Checkpoint) -> Any:
        """Return the backbone's configuration; a class whose checkpoints need theirs changed overrides this."""
        return checkpoint.load_config()

    def _load_tokenizer(self, checkpoint: Checkpoint) -> Any:
        """Return the tokenizer; a class that asks more of it than it was saved with overrides this."""
        return checkpoint.load_tokenizer()

    @functools.cached_property
    def tokenizer(self) -> Any:
        """A copy of the model's tokenizer, for the caller: its settings do not change how texts are encoded."""
        return self._tokenizer.copy_for_user()

    @property
    def dimension(self) -> int:
        """Length of the vectors, before any truncation."""
        config: Any = self.model.config
        width: int = config.get_text_config().hidden_size
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
        engine: Engine,
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

    def _vectors(self, hidden: Hidden, width: int) -> Tensor:
        pooled = self._pool(hidden.states, hidden.mask)
        if pooled.shape != (len(hidden.states), self.dimension):
            raise OptionError(
                f"the pooling {self.pooling_method!r} made {tuple(pooled.shape)} of {tuple(hidden.states.shape)}; it "
                f"should give one vector of {self.dimension} a text."
            )
        vectors = pooled[:, :width]
        return torch.nn.functional.normalize(vectors, dim=-1) if self.normalize_embeddings else vectors

    def _token_limit(self, max_length: int | None) -> int:
        wanted = _DEFAULT_MAX_LENGTH if max_length is None else max_length
        return wanted if self._limit is None else min(self._limit, wanted)

    def _check_dimension(self, truncate_dim: int | None) -> int:
        wanted = self.dimension if truncate_dim is None else check_count(truncate_dim, "truncate_dim")
        if wanted > self.dimension:
            raise OptionError(f"truncate_dim={wanted} is more than the {self.dimension} dimensions of this model.")
        return wanted

    def _engine_on(self, device: str) -> Engine:
        if device != self._device:
            self._place(device)
        return self._engine

    def _place(self, device: str) -> None:
        self._device = device
        self._engine = Engine(self._tokenizer, PaddedForward(self.model.to(device), self._pad_id, device), device)


def _pooling_function(pooling: str | PoolingFunction) -> PoolingFunction:
    found = POOLING_FUNCTIONS.load(pooling) if isinstance(pooling, str) else pooling
    if not callable(found):
        raise ModelClassError(
            f"pooling_method={pooling!r} is no pooling: give a name, 'module:function' or a function."
        )
    function: PoolingFunction = found
    return function
