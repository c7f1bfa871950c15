"""The network of a layerwise reranker: the score of a pair at each layer asked for, and no layer run beyond the last.

Read from upstream's reference implementation: the score of layer ``L`` is the head of ``L`` on the last token's state
after ``L`` layers, normalised by the norm that MiniCPM has at its end. So a deep network can be cut where its score is
good enough (https://huggingface.co/BAAI/bge-reranker-v2-minicpm-layerwise).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import torch
from torch import Tensor
from transformers import GraniteModel, GranitePreTrainedModel
from transformers.masking_utils import create_causal_mask

from FlagEmbedding.engine.pooling import last_token
from flagembedding_bge.minicpm_config import Layers, MiniCPMConfig


class LayerwiseMiniCPM(GranitePreTrainedModel):  # type: ignore[no-untyped-call]  # transformers' __init_subclass__
    """MiniCPM with a head at each layer from ``config.start_layer`` on, under the names of the checkpoints.

    Attributes:
        model: transformers' network: ``model.embed_tokens``, ``model.layers.N``, ``model.norm``.
        lm_head: The heads, ``lm_head.N.linear_head`` from ``hidden_size`` to 1; or ``lm_head.linear_head`` for all.
    """

    config: MiniCPMConfig

    def __init__(self, config: MiniCPMConfig) -> None:
        super().__init__(config)
        self.model = GraniteModel(config)
        heads = config.num_hidden_layers - config.start_layer + 1
        several = torch.nn.ModuleList(_head(config.hidden_size) for _ in range(heads if config.head_multi else 0))
        self.lm_head = several if config.head_multi else _head(config.hidden_size)
        self.post_init()  # type: ignore[no-untyped-call]  # transformers'

    def forward(self, input_ids: Tensor, attention_mask: Tensor, cutoff_layers: Layers | None = None) -> Tensor:
        """Return the score of each row's last token at each of ``cutoff_layers``; deeper layers are not run.

        Args:
            input_ids: int64 ``[rows, tokens]``, shorter rows padded on the right.
            attention_mask: bool or integer ``[rows, tokens]``, true where there is a token.
            cutoff_layers: See :meth:`~flagembedding_bge.minicpm_config.MiniCPMConfig.scored_layers`.

        Returns:
            float32 ``[rows, layers]``, the layers in the order in which they were asked for.

        Raises:
            OptionError: A layer has no head.
        """
        layers = self.config.scored_layers(cutoff_layers)
        states = self._last_states(input_ids, attention_mask, set(layers))
        return torch.cat([self._score(layer, states[layer]) for layer in layers], dim=1)

    def _last_states(self, ids: Tensor, mask: Tensor, layers: Collection[int]) -> dict[int, Tensor]:
        """Return the states of the rows' last tokens after each of ``layers``, float32 ``[rows, hidden_size]``."""
        hidden = self.model.embed_tokens(ids) * self.model.embedding_multiplier
        positions = torch.arange(ids.shape[1], device=ids.device).unsqueeze(0)
        found = {}
        rope = self.model.rotary_emb(hidden, position_ids=positions)
        # The padding comes after all tokens, and none of them looks ahead: to mask it would only cost the fast kernels.
        causal = create_causal_mask(self.config, hidden, attention_mask=None, past_key_values=None)
        for depth in range(max(layers) + 1):
            if depth:
                layer = self.model.layers[depth - 1]
                hidden = layer(hidden, attention_mask=causal, position_ids=positions, position_embeddings=rope)
            if depth in layers:
                found[depth] = last_token(hidden, mask).float()
        return found

    def _score(self, layer: int, states: Tensor) -> Tensor:
        """Return float32 ``[rows, 1]``: half precision would round the score where it is of use, among the best."""
        head: Any = self.lm_head[layer - self.config.start_layer] if self.config.head_multi else self.lm_head
        return torch.nn.functional.linear(self.model.norm(states), head["linear_head"].weight.float())


def _head(width: int) -> torch.nn.ModuleDict:
    return torch.nn.ModuleDict({"linear_head": torch.nn.Linear(width, 1, bias=False)})
