"""M3Embedder: dense, lexical and ColBERT representations from one forward (M3-Embedding, arXiv 2402.03216)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.pooling import PoolingFunction
from FlagEmbedding.errors import OptionError
from flagembedding_bge import m3_model, m3_outputs
from flagembedding_bge.m3_scoring import M3Scoring


class M3Embedder(M3Scoring):
    """BGE-M3 and its fine-tunes; ``BGEM3FlagModel`` and ``FlagM3Model`` are other names for it.

    The arguments that are not listed are those of :class:`~FlagEmbedding.abc.inference.AbsEmbedder` and
    :class:`~FlagEmbedding.inference.embedder.dense.DenseEmbedder`, written out because programs read the signature.

    Args:
        normalize_embeddings: Whether dense and ColBERT vectors have length 1.
        colbert_dim: Width of a ColBERT vector; -1: as ``colbert_linear.pt`` says.
        return_dense: Whether the encode methods give dense vectors, unless they are told otherwise.
        return_sparse: Whether they give lexical weights; needs ``sparse_linear.pt``.
        return_colbert_vecs: Whether they give ColBERT vectors; needs ``colbert_linear.pt``.
        truncate_dim: Keep so many leading components of dense and ColBERT vectors.

    Raises:
        CheckpointError: A head file is damaged or has another shape, or one that these options need is missing.
    """

    extra_files = m3_model.HEAD_FILES

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
        colbert_dim: int = -1,
        batch_size: int = 256,
        query_max_length: int | None = None,
        passage_max_length: int | None = None,
        return_dense: bool = True,
        return_sparse: bool = False,
        return_colbert_vecs: bool = False,
        truncate_dim: int | None = None,
        **kwargs: Any,
    ) -> None:
        if not isinstance(colbert_dim, int):
            raise OptionError(f"colbert_dim must be a number, not {colbert_dim!r}.")
        self.colbert_dim = colbert_dim
        self.return_dense = return_dense
        self.return_sparse = return_sparse
        self.return_colbert_vecs = return_colbert_vecs
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
            truncate_dim=truncate_dim,
            **kwargs,
        )

    def _load_model(self, checkpoint: Checkpoint, config: Any, dtype: torch.dtype, attention: str | None) -> Any:
        """Load the backbone, and put the heads beside it."""
        backbone = super()._load_model(checkpoint, config, dtype, attention)
        model = m3_model.add_heads(backbone, checkpoint.folder, checkpoint.source, self.colbert_dim)
        for name, wanted in ((m3_model.SPARSE, self.return_sparse), (m3_model.COLBERT, self.return_colbert_vecs)):
            if wanted:
                model.head(name)
        return model

    def _load_tokenizer(self, checkpoint: Checkpoint) -> Any:
        tokenizer = super()._load_tokenizer(checkpoint)
        self._unused_tokens = m3_outputs.unused_tokens(tokenizer)
        return tokenizer
