"""Some rows of the vocabulary: the logits of a few tokens, without those of all the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def vocabulary_rows(model: Any, states: Tensor, tokens: Sequence[int]) -> Tensor:
    """Return the logits of ``tokens``.

    Args:
        model: A transformers language model with an output embedding.
        states: float32 ``[rows, width]``, the last hidden states of some positions.
        tokens: Ids.

    Returns:
        float32 ``[rows, len(tokens)]``, soft-capped or scaled where the model's configuration says so.
    """
    head, config = model.get_output_embeddings(), model.config.get_text_config()
    bias = None if head.bias is None else head.bias[list(tokens)]
    logits = torch.nn.functional.linear(states.to(head.weight.dtype), head.weight[list(tokens)], bias).float()
    logits = logits / (getattr(config, "logits_scaling", None) or 1.0)  # Granite
    logits = logits * (getattr(config, "logit_scale", None) or 1.0)  # Cohere
    cap = getattr(config, "final_logit_softcapping", None)  # Gemma 2
    return logits if cap is None else torch.tanh(logits / cap) * cap
