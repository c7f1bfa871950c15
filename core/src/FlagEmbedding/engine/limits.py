"""Limits: how many tokens a backbone has positions for, and which token ids it knows."""

from __future__ import annotations

from typing import Any

import torch

from FlagEmbedding.engine.explaining import running
from FlagEmbedding.errors import CheckpointError


def position_limit(model: Any) -> int | None:
    """Return how many tokens (special ones included) the model can take, or None when nothing limits it.

    RoBERTa and its kin number positions from ``padding_idx + 1``, so their table of 514 holds 512 tokens.
    """
    for name, module in model.named_modules():
        if name.endswith("position_embeddings") and isinstance(module, torch.nn.Embedding):
            return module.num_embeddings - (0 if module.padding_idx is None else module.padding_idx + 1)
    return getattr(model.config, "max_position_embeddings", None)


def check_vocabulary(source: str, model: Any, tokenizer: Any) -> None:
    """Refuse a tokenizer that can give ids the model has no row for: it belongs to another model.

    Raises:
        CheckpointError: It does.
    """
    with running(source):
        rows = vocabulary_rows(model)
    check_rows(source, rows, tokenizer)


def vocabulary_rows(model: Any) -> int:
    """Return how many token ids the model has a row for."""
    rows: int = model.get_input_embeddings().num_embeddings
    return rows


def check_rows(source: str, rows: int, tokenizer: Any) -> None:
    """Do as :func:`check_vocabulary` does, where it is known how many rows the model has and the model is not there.

    Raises:
        CheckpointError: There are fewer rows than ids.
    """
    ids = len(tokenizer)
    if ids > rows:
        raise CheckpointError(
            f"the tokenizer of {source!r} has {ids} tokens and the model {rows}: they do not belong together."
        )
