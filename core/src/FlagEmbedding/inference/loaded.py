"""A model in memory: what embedders and rerankers have in common once their options are checked."""

from __future__ import annotations

import copy
import functools
import logging
from typing import Any, ClassVar

import torch

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.limits import check_vocabulary, position_limit
from FlagEmbedding.engine.precision import compute_dtype

logger = logging.getLogger(__name__)

# None means the model's own limit, but not the 32k and more of today's decoders unless they are asked for.
_DEFAULT_MAX_LENGTH = 8192


class LoadedModel:
    """Loads a checkpoint, and knows the device it is on. The contract beside it has set the attributes named here."""

    unused_weights: ClassVar[tuple[str, ...]] = ()
    """Prefixes of weights that checkpoints of this class may hold for another use; any other one is an error."""

    extra_files: ClassVar[tuple[str, ...]] = ()
    """Patterns of files that this class reads beside the weights, so that they are fetched with them."""

    model_name_or_path: str
    target_devices: list[str]
    use_fp16: bool
    use_bf16: bool

    def _load(self, *, trust_remote_code: bool, attn_implementation: str | None, **hub_options: Any) -> None:
        """Load the checkpoint onto the first device.

        Raises:
            CheckpointError: Files are missing, damaged, or do not fit together.
        """
        checkpoint = Checkpoint(
            str(self.model_name_or_path),
            trust_remote_code=trust_remote_code,
            hub_options=hub_options,
            extra_files=self.extra_files,
        )
        device = self.target_devices[0]
        config = self._load_config(checkpoint)
        config.use_cache = False  # one forward a batch: the keys and values of a decoder are never read again
        tokenizer = self._load_tokenizer(checkpoint)
        dtype = compute_dtype(device, self.use_fp16, self.use_bf16)
        self.model: Any = self._load_model(checkpoint, config, dtype, attn_implementation)
        check_vocabulary(checkpoint.source, self.model, tokenizer)
        self._limit = position_limit(self.model)
        self._pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self._set_tokenizer(checkpoint.source, tokenizer)
        self._place(device)
        logger.info("loaded %r: %s, %s, on %s", checkpoint.source, config.model_type, self.model.dtype, device)

    def _load_config(self, checkpoint: Checkpoint) -> Any:
        """Return the model's configuration; a class whose checkpoints need theirs changed overrides this."""
        return checkpoint.load_config()

    def _load_tokenizer(self, checkpoint: Checkpoint) -> Any:
        """Return the tokenizer; a class that asks more of it than it was saved with overrides this."""
        return checkpoint.load_tokenizer()

    def _load_model(self, checkpoint: Checkpoint, config: Any, dtype: torch.dtype, attention: str | None) -> Any:
        """Return the network on the CPU; the backbone alone, unless a class needs more."""
        return checkpoint.load_backbone(config, dtype, attention, self.unused_weights)

    def _set_tokenizer(self, source: str, tokenizer: Any) -> None:  # noqa: ARG002 - for the classes that need it
        """Keep the tokenizer; a class that tokenises in a way of its own prepares it here."""
        self._own_tokenizer = tokenizer

    @functools.cached_property
    def tokenizer(self) -> Any:
        """A copy of the model's tokenizer, for the caller: its settings do not change how texts are encoded."""
        return copy.deepcopy(self._own_tokenizer)

    def _token_limit(self, max_length: int | None) -> int:
        wanted = _DEFAULT_MAX_LENGTH if max_length is None else max_length
        return wanted if self._limit is None else min(self._limit, wanted)

    def _move_to(self, device: str) -> None:
        """Put the model on ``device``, if it is elsewhere."""
        if device != self._device:
            self._place(device)

    def _place(self, device: str) -> None:
        self._device = device
        self.model.to(device)
