"""The network of a lightweight reranker: Gemma2 that can stop early, and go on with fewer tokens on its way.

Read from upstream's reference implementation: before a compressed layer the tokens of the passage get fewer
(:mod:`~flagembedding_bge.token_compression`), and positions are counted anew. The score of layer ``L`` is a head on
the last token's state after ``L`` layers (and before a compression there), normalised by the norm that Gemma2 has at
its end, and soft-capped (https://huggingface.co/BAAI/bge-reranker-v2.5-gemma2-lightweight).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from transformers.masking_utils import create_causal_mask, create_sliding_window_causal_mask
from transformers.models.gemma2.modeling_gemma2 import Gemma2Model, Gemma2PreTrainedModel

from flagembedding_bge.cost_wise_config import CostWiseGemmaConfig
from flagembedding_bge.cost_wise_cuts import Cuts, Layers, plan_cuts
from flagembedding_bge.token_compression import Rows, compress


class CostWiseGemma(Gemma2PreTrainedModel):  # type: ignore[no-untyped-call]  # transformers' __init_subclass__
    """Gemma2 with a head at some of its layers, under the names of the checkpoints.

    Its base class has transformers run the attention that soft-caps its logits ("eager"; torch's own cannot).

    Attributes:
        model: transformers' network: ``model.embed_tokens``, ``model.layers.N``, ``model.norm``.
        lm_head: The heads, ``lm_head.N.linear_head`` from ``hidden_size`` to 1, one each of ``config.scored_layers``.
    """

    config: CostWiseGemmaConfig

    def __init__(self, config: CostWiseGemmaConfig) -> None:
        super().__init__(config)
        self.model = Gemma2Model(config)
        self.lm_head = torch.nn.ModuleList(_head(config.hidden_size) for _ in config.scored_layers)
        self.post_init()  # type: ignore[no-untyped-call]  # transformers'

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        query_lengths: Tensor,
        prompt_lengths: Tensor,
        *,
        cutoff_layers: Layers | None = None,
        compress_layers: Layers = (),
        compress_ratio: int = 1,
        head: str = "position",
    ) -> Tensor:
        """Return the score of each row at each of ``cutoff_layers``; deeper layers are not run.

        Args:
            input_ids: int64 ``[rows, tokens]``: query, passage and prompt, shorter rows padded on the right.
            attention_mask: bool or integer ``[rows, tokens]``, true where there is a token.
            query_lengths: int64 ``[rows]``: how many tokens, at the start of a row, are never compressed.
            prompt_lengths: int64 ``[rows]``: how many, at its end, are never compressed.
            cutoff_layers: See :func:`~flagembedding_bge.cost_wise_cuts.plan_cuts`, as for what follows.
            compress_layers: Before which layers the tokens between these get fewer.
            compress_ratio: How many of them become one.
            head: Which head scores a layer.

        Returns:
            float32 ``[rows, layers]``, the layers in the order in which they were asked for.

        Raises:
            OptionError: As :func:`~flagembedding_bge.cost_wise_cuts.plan_cuts` raises it.
        """
        cuts = plan_cuts(self.config, cutoff_layers, compress_layers, compress_ratio, head)
        lengths = attention_mask.long().sum(dim=1)
        rows = Rows(self.model.embed_tokens(input_ids), lengths, query_lengths, prompt_lengths)
        scores = self._run(rows, cuts)
        return torch.stack([scores[layer] for layer in cuts.layers], dim=1)

    def _run(self, rows: Rows, cuts: Cuts) -> dict[int, Tensor]:
        """Return the scores by layer, float32 ``[rows]`` each."""
        scores = {}
        kinds: Any = self.config.layer_types
        context = self._context(rows.states)
        for depth in range(cuts.depth + 1):
            if depth in cuts.heads:
                scores[depth] = self._score(rows, cuts.heads[depth])
            if depth == cuts.depth:
                break
            if depth in cuts.compress_layers:
                rows = compress(rows, cuts.ratio)
                context = self._context(rows.states)
            states = self.model.layers[depth](rows.states, **context[kinds[depth]])
            rows = Rows(states, rows.lengths, rows.queries, rows.prompts)
        return scores

    def _context(self, states: Tensor) -> dict[str, dict[str, Any]]:
        """Return what a layer needs beside the states, by type of layer.

        The padding comes after all tokens, and none of them looks ahead, so that it needs no mask: one row's is that of
        all of them.
        """
        positions = torch.arange(states.shape[1], device=states.device).unsqueeze(0)
        rope = self.model.rotary_emb(states, positions)
        masks = {"full_attention": create_causal_mask, "sliding_attention": create_sliding_window_causal_mask}
        return {
            kind: {
                "position_embeddings": rope,
                "position_ids": positions,
                "attention_mask": mask(self.config, states[:1], attention_mask=None, past_key_values=None),
            }
            for kind, mask in masks.items()
        }

    def _score(self, rows: Rows, head: int) -> Tensor:
        """Return float32 ``[rows]``: half precision would round the score where it is of use, among the best."""
        last = rows.states[torch.arange(len(rows.lengths), device=rows.states.device), rows.lengths - 1].float()
        weight: Any = self.lm_head[head]["linear_head"].weight
        score = self.model.norm(last) @ weight[0].float()
        cap = self.config.final_logit_softcapping
        return score if cap is None else torch.tanh(score / cap) * cap


def _head(width: int) -> torch.nn.ModuleDict:
    return torch.nn.ModuleDict({"linear_head": torch.nn.Linear(width, 1, bias=False)})
