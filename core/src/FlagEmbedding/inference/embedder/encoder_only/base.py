"""Encoder-only embedders: BERT and its kin."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.pooling import PoolingFunction
from FlagEmbedding.inference.embedder.dense import DenseEmbedder


class BaseEmbedder(DenseEmbedder):
    """An encoder with a pooling, ``"cls"`` unless told otherwise; ``FlagModel`` is another name for it.

    The arguments, their order and their defaults are those of :class:`~FlagEmbedding.abc.inference.AbsEmbedder` and
    :class:`~FlagEmbedding.inference.embedder.dense.DenseEmbedder`, written out because programs read the signature.
    """

    def __init__(
        self,
        model_name_or_path: str,
        normalize_embeddings: bool = True,
        use_fp16: bool = True,
        use_bf16: bool = False,
        query_instruction_for_retrieval: str | None = None,
        query_instruction_format: str = "{}{}",
        devices: DeviceLike | Iterable[DeviceLike] | None = None,
        pooling_method: str | PoolingFunction = "cls",
        trust_remote_code: bool = False,
        cache_dir: str | None = None,
        batch_size: int = 256,
        query_max_length: int | None = None,
        passage_max_length: int | None = None,
        convert_to_numpy: bool = True,
        truncate_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
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


FlagModel = BaseEmbedder
