"""LightweightLLMReranker: a reranker that can stop at a layer, and read a passage in fewer tokens on its way there."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.forward import padded
from FlagEmbedding.engine.pair_tokens import PairIds
from FlagEmbedding.errors import OptionError
from FlagEmbedding.inference.reranker.adapter import with_adapter
from FlagEmbedding.inference.reranker.decoder_only.base import BaseLLMReranker
from FlagEmbedding.inference.reranker.pairwise import Scoring
from flagembedding_bge.cost_wise_config import CostWiseGemmaConfig, load_config
from flagembedding_bge.cost_wise_cuts import Layers, plan_cuts
from flagembedding_bge.cost_wise_gemma import CostWiseGemma


class LightweightLLMReranker(BaseLLMReranker):
    """bge-reranker-v2.5-gemma2-lightweight and its fine-tunes; ``LightWeightFlagLLMReranker`` is its public name.

    The arguments that are not listed are those of
    :class:`~FlagEmbedding.inference.reranker.decoder_only.base.BaseLLMReranker`. Those from ``cutoff_layers`` to
    ``prompt``, and ``head``, are options of :meth:`compute_score` too, and count there for the one call.

    Args:
        trust_remote_code: Without effect: the network is ours, and code that comes with the checkpoint never runs.
        cutoff_layers: Score after so many layers, and run no more of them. One layer (a number, or a list of one) gives
            a list of floats; several give one such list each, in the order in which they are named. None is the last.
        compress_layers: The layers before which the tokens of the passage get fewer; query and prompt keep theirs.
        compress_ratio: How many tokens become one each time: 2, 4 or 8; 1 compresses nothing.
        prompt: What the model is asked; None means whether the passage contains an answer.
        head: Which head scores a layer: by its ``"position"`` among those named, as FlagEmbedding 1.x has it, or the
            one that was trained with the ``"layer"``; see ``flagembedding_bge.cost_wise_cuts``.

    Raises:
        CheckpointError: Files are missing, damaged, or do not fit together.
        OptionError: A layer does not exist or has no head, or another option is unknown or out of range.
    """

    default_prompt = "Predict whether passage B contains an answer to query A."

    packs = False

    def __init__(
        self,
        model_name_or_path: str,
        peft_path: str | None = None,
        use_fp16: bool = False,
        use_bf16: bool = False,
        query_instruction_for_rerank: str | None = "A: ",
        query_instruction_format: str = "{}{}",
        passage_instruction_for_rerank: str | None = "B: ",
        passage_instruction_format: str = "{}{}",
        cache_dir: str | None = None,
        trust_remote_code: bool = False,  # noqa: ARG002 - programs say it
        devices: DeviceLike | Iterable[DeviceLike] | None = None,
        cutoff_layers: Layers | None = None,
        compress_layers: Layers = (8,),
        compress_ratio: int = 1,
        prompt: str | None = None,
        batch_size: int = 128,
        query_max_length: int | None = None,
        max_length: int | None = None,
        normalize: bool = False,
        *,
        head: str = "position",
        **kwargs: Any,
    ) -> None:
        self.cutoff_layers = cutoff_layers
        self.compress_layers = compress_layers
        self.compress_ratio = compress_ratio
        self.head = head
        super().__init__(
            model_name_or_path,
            peft_path=peft_path,
            use_fp16=use_fp16,
            use_bf16=use_bf16,
            query_instruction_for_rerank=query_instruction_for_rerank,
            query_instruction_format=query_instruction_format,
            passage_instruction_for_rerank=passage_instruction_for_rerank,
            passage_instruction_format=passage_instruction_format,
            cache_dir=cache_dir,
            trust_remote_code=False,  # True would have transformers run the checkpoint's class of its configuration
            devices=devices,
            prompt=prompt,
            batch_size=batch_size,
            query_max_length=query_max_length,
            max_length=max_length,
            normalize=normalize,
            **kwargs,
        )

    def _load_config(self, checkpoint: Checkpoint) -> CostWiseGemmaConfig:
        """Return the configuration, once it is known to allow what the constructor was asked for."""
        config = load_config(checkpoint)
        plan_cuts(config, self.cutoff_layers, self.compress_layers, self.compress_ratio, self.head)
        return config

    def _load_model(self, checkpoint: Checkpoint, config: Any, dtype: torch.dtype, attention: str | None) -> Any:
        """Return the network with its heads, the adapter merged into it."""
        model = checkpoint.load_model(CostWiseGemma, config, dtype, attention, self.unused_weights)
        return with_adapter(model, self.peft_path)

    def _set_up(self, network: Any) -> None:
        """Run the network as it is: it computes no more than the layers that a call asks for."""
        self.engine = f"{type(network).__name__} in padded batches"

    def _scoring(  # type: ignore[override]  # each class has options of its own
        self,
        query_max_length: int | None,
        *,
        prompt: str | None = None,
        cutoff_layers: Layers | None = None,
        compress_layers: Layers | None = None,
        compress_layer: Layers | None = None,
        compress_ratio: int | None = None,
        head: str | None = None,
    ) -> Scoring:
        options: dict[str, Any] = {
            "cutoff_layers": self.cutoff_layers if cutoff_layers is None else cutoff_layers,
            "compress_layers": self._compressed(compress_layers, compress_layer),
            "compress_ratio": self.compress_ratio if compress_ratio is None else compress_ratio,
            "head": self.head if head is None else head,
        }
        layers = plan_cuts(self._network.config, **options).layers
        return Scoring(
            functools.partial(self._tokenized, query_max_length=query_max_length, prompt=prompt),
            functools.partial(self._layer_scores, options),
            lists=len(layers) if len(layers) > 1 else None,
        )

    def _compressed(self, layers: Layers | None, older: Layers | None) -> Layers:
        """Return the layers to compress before; ``compress_layer`` is their name in older programs."""
        if layers is not None and older is not None:
            raise OptionError("give compress_layers= or compress_layer=, not both.")
        return next((given for given in (layers, older) if given is not None), self.compress_layers)

    def _layer_scores(self, options: dict[str, Any], rows: Sequence[PairIds]) -> Tensor:
        """Return the scores of a batch, float32 ``[rows, layers]``."""
        device = torch.device(self._device)
        ids, mask = padded([row.ids for row in rows], self._pad_id, device)
        queries = torch.tensor([row.before for row in rows], device=device)
        passages = torch.tensor([row.passage for row in rows], device=device)
        scores: Tensor = self._network(ids, mask, queries, mask.sum(dim=1) - queries - passages, **options)
        return scores


LightWeightFlagLLMReranker = LightweightLLMReranker
