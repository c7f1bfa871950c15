"""Decoder-only embedders: language models that give a text the vector of its last token."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.ending import load_ending_tokenizer
from FlagEmbedding.engine.pooling import PoolingFunction
from FlagEmbedding.inference.embedder.dense import DenseEmbedder


class BaseLLMEmbedder(DenseEmbedder):
    r"""A decoder with last-token pooling; ``FlagLLMModel`` is another name for it.

    The arguments that are not listed are those of :class:`~FlagEmbedding.abc.inference.AbsEmbedder` and
    :class:`~FlagEmbedding.inference.embedder.dense.DenseEmbedder`, written out because programs read the signature.

    Args:
        query_instruction_format: ``"Instruct: {}\nQuery: {}"`` unless told otherwise, as most of these models want it.
        append_eos: Whether each text must end in the end-of-sequence token (or in which other token); None means as
            the checkpoint's ``tokenizer_config.json`` says. Asserted at load, and repaired.
        is_causal: Attention direction; None means the checkpoint's own. False for models that were trained to read
            both ways on an architecture that does not.

    Raises:
        CheckpointError: The tokenizer does not end a text as it must.
    """

    def __init__(
        self,
        model_name_or_path: str,
        normalize_embeddings: bool = True,
        use_fp16: bool = True,
        use_bf16: bool = False,
        query_instruction_for_retrieval: str | None = None,
        query_instruction_format: str = "Instruct: {}\nQuery: {}",
        devices: DeviceLike | Iterable[DeviceLike] | None = None,
        trust_remote_code: bool = False,
        cache_dir: str | None = None,
        batch_size: int = 256,
        query_max_length: int | None = None,
        passage_max_length: int | None = None,
        convert_to_numpy: bool = True,
        truncate_dim: int | None = None,
        *,
        pooling_method: str | PoolingFunction = "last_token",
        append_eos: bool | str | None = None,
        is_causal: bool | None = None,
        **kwargs: Any,
    ) -> None:
        self.append_eos = append_eos
        self.is_causal = is_causal
        super().__init__(
            model_name_or_path,
            normalize_embeddings=normalize_embeddings,
            use_fp16=use_fp16,
            use_bf16=use_bf16,
            query_instruction_for_retrieval=query_instruction_for_retrieval,
            query_instruction_format=query_instruction_format,
            devices=devices,
            pooling_method=pooling_method,
            trust_remote_code=trust_remote_code,
            cache_dir=cache_dir,
            batch_size=batch_size,
            query_max_length=query_max_length,
            passage_max_length=passage_max_length,
            convert_to_numpy=convert_to_numpy,
            truncate_dim=truncate_dim,
            **kwargs,
        )

    def _load_config(self, checkpoint: Checkpoint) -> Any:
        """Set the attention direction, which older copies of some configurations do not state."""
        config = super()._load_config(checkpoint)
        if self.is_causal is not None:
            config.is_causal = self.is_causal
        return config

    def _load_tokenizer(self, checkpoint: Checkpoint) -> Any:
        """Return the tokenizer with the end-of-sequence token that the vector is read from."""
        return load_ending_tokenizer(checkpoint, self.append_eos)


FlagLLMModel = BaseLLMEmbedder
