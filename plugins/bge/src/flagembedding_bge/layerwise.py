"""LayerWiseLLMReranker: a reranker whose score can be read before its last layer, for less work."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import GraniteConfig

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.forward import padded
from FlagEmbedding.engine.pair_tokens import PairIds
from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.inference.reranker.adapter import with_adapter
from FlagEmbedding.inference.reranker.decoder_only.base import BaseLLMReranker
from FlagEmbedding.inference.reranker.pairwise import Scoring
from flagembedding_bge.minicpm import LayerwiseMiniCPM
from flagembedding_bge.minicpm_config import Layers, MiniCPMConfig, load_config


class LayerWiseLLMReranker(BaseLLMReranker):
    """bge-reranker-v2-minicpm-layerwise and its fine-tunes; ``LayerWiseFlagLLMReranker`` is its public name.

    The arguments that are not listed are those of
    :class:`~FlagEmbedding.inference.reranker.decoder_only.base.BaseLLMReranker`. ``cutoff_layers`` and ``prompt`` are
    options of :meth:`compute_score` too, and count there for the one call.

    Args:
        trust_remote_code: Without effect: the network is ours, and code that comes with the checkpoint never runs.
        cutoff_layers: Score after so many layers, and run no more of them (8 to 40 in the published model, whose card
            suggests 28). One layer (a number, or a list of one) gives a list of floats; several give one such list
            each, in the order in which they are named. None is the last.

    Raises:
        CheckpointError: Files are missing, damaged, or do not fit together.
        OptionError: A layer has no head, or another option is unknown or out of range.
    """

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
        prompt: str | None = None,
        batch_size: int = 128,
        query_max_length: int | None = None,
        max_length: int | None = None,
        normalize: bool = False,
        **kwargs: Any,
    ) -> None:
        self.cutoff_layers = cutoff_layers
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

    def _load_config(self, checkpoint: Checkpoint) -> MiniCPMConfig:
        """Return the configuration, once it is known to have the layers that the constructor was asked for."""
        config = load_config(checkpoint)
        config.scored_layers(self.cutoff_layers)
        return config

    def _load_tokenizer(self, checkpoint: Checkpoint) -> Any:
        """Return the tokenizer of ``tokenizer.json`` as it stands, as transformers reads that of a Granite model.

        For the class that these checkpoints name (``LlamaTokenizer``) transformers 5 takes the vocabulary alone from
        that file, and the rest from its own code, which cuts a text that begins with a space in another way.
        """
        whole = (checkpoint.folder / "tokenizer.json").is_file()
        config: Any = GraniteConfig() if whole else load_config(checkpoint)
        return checkpoint.load_tokenizer(config=config)

    def _load_model(self, checkpoint: Checkpoint, config: Any, dtype: torch.dtype, attention: str | None) -> Any:
        """Return the network with its heads, the adapter merged into it."""
        model = checkpoint.load_model(LayerwiseMiniCPM, config, dtype, attention, self.unused_weights)
        return with_adapter(model, self.peft_path)

    def _set_tokenizer(self, source: str, tokenizer: Any) -> None:
        """Have each pair begin with ``<bos>``, in these models also where that is the token for padding."""
        super()._set_tokenizer(source, tokenizer)
        if tokenizer.bos_token_id is None:
            raise CheckpointError(
                f"each pair must begin with the bos_token of {source!r}, and its tokenizer has none. Set it in its "
                f"tokenizer_config.json."
            )
        self._start = [tokenizer.bos_token_id]

    def _set_up(self, network: Any) -> None:
        """Run the network as it is: it computes no more than the layers that a call asks for."""
        self.engine = f"{type(network).__name__} in padded batches"

    def _scoring(
        self,
        query_max_length: int | None,
        *,
        prompt: str | None = None,
        use_dataloader: bool = False,  # noqa: ARG002 - programs say it; tokenising takes no worker processes here
        num_workers: int | None = None,  # noqa: ARG002 - likewise
        cutoff_layers: Layers | None = None,
    ) -> Scoring:
        layers = self._network.config.scored_layers(self.cutoff_layers if cutoff_layers is None else cutoff_layers)
        return Scoring(
            functools.partial(self._tokenized, query_max_length=query_max_length, prompt=prompt),
            functools.partial(self._layer_scores, layers),
            lists=len(layers) if len(layers) > 1 else None,
        )

    def _layer_scores(self, layers: Sequence[int], rows: Sequence[PairIds]) -> Tensor:
        """Return the scores of a batch, float32 ``[rows, layers]``."""
        ids, mask = padded([row.ids for row in rows], self._pad_id, torch.device(self._device))
        scores: Tensor = self._network(ids, mask, layers)
        return scores


LayerWiseFlagLLMReranker = LayerWiseLLMReranker
