"""Some rows of the vocabulary: the logits of a few tokens, without those of all the others."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


class VocabularyRows:
    """The output embedding of a language model, for a few tokens alone.

    Args:
        model: A transformers language model.
        tokens: Ids.
        alone: Keep only these rows of it, as they are now; otherwise what becomes of the model counts.
    """

    def __init__(self, model: Any, tokens: Sequence[int], *, alone: bool) -> None:
        head, config = model.get_output_embeddings(), model.config.get_text_config()
        self._tokens = list(tokens)
        self._head = None if alone else head
        self._rows = self._read(head) if alone else None
        self._cap: float | None = getattr(config, "final_logit_softcapping", None)  # Gemma 2
        divisor = getattr(config, "logits_scaling", None) or 1.0  # Granite
        self._scale: float = (getattr(config, "logit_scale", None) or 1.0) / divisor  # Cohere

    def __call__(self, states: Tensor) -> Tensor:
        """Return the logits of the tokens, soft-capped and scaled as the model's configuration says.

        Args:
            states: float32 ``[rows, width]``, the last hidden states of some positions.

        Returns:
            float32 ``[rows, tokens]``.
        """
        weight, bias = self._rows or self._read(self._head)
        logits = torch.nn.functional.linear(states.to(weight.dtype), weight, bias).float() * self._scale
        return logits if self._cap is None else torch.tanh(logits / self._cap) * self._cap

    def _read(self, head: Any) -> tuple[Tensor, Tensor | None]:
        """Return copies of the tokens' weights, ``[tokens, width]``, and biases, ``[tokens]``."""
        return head.weight[self._tokens], None if head.bias is None else head.bias[self._tokens]
