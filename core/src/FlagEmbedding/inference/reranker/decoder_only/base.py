"""Decoder-only rerankers: a language model is asked whether a passage answers a query; its "Yes" is the score."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.forward import TokenVectors
from FlagEmbedding.engine.pair_tokens import Frame, PairIds, PairTokenizer, check_room, only_second
from FlagEmbedding.engine.pairs import Pair
from FlagEmbedding.engine.tokenizing import Tokens
from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.inference.reranker.adapter import with_adapter
from FlagEmbedding.inference.reranker.pairwise import PairReranker, Scoring
from FlagEmbedding.inference.reranker.vocabulary import VocabularyRows

_SEPARATOR = "\n"


class BaseLLMReranker(PairReranker):
    """A causal language model with the prompt of the BGE rerankers; ``FlagLLMReranker`` is another name for it.

    A pair is read as ``<bos>A: query``, line break, ``B: passage``, line break, prompt; the score is the logit of
    "Yes" at the last position, the only one that is computed over the vocabulary, and of this row alone.

    The arguments that are not listed are those of :class:`~FlagEmbedding.abc.inference.AbsReranker` and
    :class:`~FlagEmbedding.inference.reranker.pairwise.PairReranker`, written out because programs read the signature.

    Args:
        peft_path: A folder or hub id with a LoRA adapter, which is merged into the weights; needs the package peft.
        prompt: What the model is asked; None means the question that these models were trained with.
        max_length: Tokens of ``<bos>A: query``, line break and ``B: passage``. As in the published code, the line
            break and the prompt come on top of it, and their number once more as room for the passage.

    Raises:
        CheckpointError: Files are missing, damaged, or do not fit together.
    """

    default_prompt = (
        "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing "
        "a prediction of either 'Yes' or 'No'."
    )

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
        trust_remote_code: bool = False,
        devices: DeviceLike | Iterable[DeviceLike] | None = None,
        prompt: str | None = None,
        batch_size: int = 128,
        query_max_length: int | None = None,
        max_length: int | None = None,
        normalize: bool = False,
        **kwargs: Any,
    ) -> None:
        self.peft_path = peft_path
        self.prompt = prompt
        super().__init__(
            model_name_or_path,
            use_fp16=use_fp16,
            use_bf16=use_bf16,
            query_instruction_for_rerank=query_instruction_for_rerank,
            query_instruction_format=query_instruction_format,
            passage_instruction_for_rerank=passage_instruction_for_rerank,
            passage_instruction_format=passage_instruction_format,
            cache_dir=cache_dir,
            trust_remote_code=trust_remote_code,
            devices=devices,
            batch_size=batch_size,
            query_max_length=query_max_length,
            max_length=max_length,
            normalize=normalize,
            **kwargs,
        )

    def _load_model(self, checkpoint: Checkpoint, config: Any, dtype: torch.dtype, attention: str | None) -> Any:
        """Return the language model, the adapter merged into it."""
        model = checkpoint.load_model(AutoModelForCausalLM, config, dtype, attention, self.unused_weights)
        return with_adapter(model, self.peft_path)

    def _set_tokenizer(self, source: str, tokenizer: Any) -> None:
        super()._set_tokenizer(source, tokenizer)
        self._pairs = PairTokenizer(tokenizer)
        self._separator = self._pairs.ids(_SEPARATOR)
        starts = tokenizer.bos_token_id is not None and tokenizer.bos_token_id != tokenizer.pad_token_id
        self._start: list[int] = [tokenizer.bos_token_id] if starts else []
        self.yes_loc = _first(source, "Yes", self._pairs.ids("Yes"))

    def _scoring(
        self,
        query_max_length: int | None,
        *,
        prompt: str | None = None,
        use_dataloader: bool = False,  # noqa: ARG002 - programs say it; tokenising takes no worker processes here
        num_workers: int | None = None,  # noqa: ARG002 - likewise
    ) -> Scoring:
        return Scoring(
            functools.partial(self._tokenized, query_max_length=query_max_length, prompt=prompt),
            lambda rows: self._forward([row.ids for row in rows]),
            self._yes,
        )

    def _tokenized(
        self, pairs: Sequence[Pair], max_length: int, *, query_max_length: int | None, prompt: str | None
    ) -> Tokens[PairIds]:
        frame = self._framed(prompt)
        room = self._space(frame, max_length)
        check_room(room, max_length, len(frame))
        return self._pairs(pairs, frame, only_second(query_max_length, room, max_length), max_length)

    def _framed(self, prompt: str | None) -> Frame:
        """Return what goes around a pair: ``<bos>``, line break, and line break with the prompt."""
        asked = next((text for text in (prompt, self.prompt) if text is not None), self.default_prompt)
        return Frame(self._start, self._separator, [*self._separator, *self._pairs.ids(asked)])

    def _space(self, frame: Frame, max_length: int) -> int:
        """Return how many tokens query and passage may have, so that the whole fits the model's positions."""
        room = max_length + len(frame.end) - len(frame.start) - len(frame.middle)
        return room if self._limit is None else min(room, self._limit - len(frame))

    def _set_up(self, network: Any) -> None:
        self._forward = self._fastest(network.base_model)
        self._vocabulary = VocabularyRows(network, self._answers(), alone=self._network is None)

    def _answers(self) -> list[int]:
        """Return the tokens whose logits are read."""
        return [self.yes_loc]

    def _yes(self, hidden: TokenVectors) -> Tensor:
        """Return the logit of "Yes" at each row's last token, float32 ``[rows, 1]``."""
        return self._vocabulary(hidden.last())


def _first(source: str, word: str, ids: Sequence[int]) -> int:
    if not ids:
        raise CheckpointError(
            f"the tokenizer of {source!r} makes no token of {word!r}, whose logit is the score. It is another model's."
        )
    return ids[0]


FlagLLMReranker = BaseLLMReranker
