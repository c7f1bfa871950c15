"""Encoder-only rerankers: a classifier with one label reads query and passage together (a cross-encoder)."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForSequenceClassification

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.classifier import PaddedClassifier, pack_classifier
from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.forward import Forward
from FlagEmbedding.engine.packed.attention import NotPackableError
from FlagEmbedding.engine.pair_tokens import (
    LONGEST_FIRST,
    ONLY_SECOND,
    TRUNCATIONS,
    PairIds,
    PairTokenizer,
    Truncate,
    check_room,
    longest_first,
    only_second,
    template_frame,
)
from FlagEmbedding.engine.pairs import Pair
from FlagEmbedding.engine.tokenizing import Tokens
from FlagEmbedding.errors import CheckpointError, OptionError
from FlagEmbedding.inference.reranker.pairwise import PairReranker, Scoring


class BaseReranker(PairReranker):
    """A cross-encoder; ``FlagReranker`` is another name for it.

    The arguments that are not listed are those of :class:`~FlagEmbedding.abc.inference.AbsReranker` and
    :class:`~FlagEmbedding.inference.reranker.pairwise.PairReranker`, written out because programs read the signature.

    Args:
        truncation: ``"only_second"``: a query is cut to ``query_max_length``, and the passage to what is left of
            ``max_length``. ``"longest_first"``: what is too long is taken from the longer of the two, as the model
            cards' own snippets do.

    Raises:
        CheckpointError: The checkpoint's head has not exactly one label, so that its output would be no score.
    """

    unused_weights = ("lm_head.", "cls.", "roberta.pooler.")
    """Heads of pre-training, which a classifier on top of them may have kept."""

    def __init__(
        self,
        model_name_or_path: str,
        use_fp16: bool = False,
        query_instruction_for_rerank: str | None = None,
        query_instruction_format: str = "{}{}",
        passage_instruction_for_rerank: str | None = None,
        passage_instruction_format: str = "{}{}",
        trust_remote_code: bool = False,
        cache_dir: str | None = None,
        devices: DeviceLike | Iterable[DeviceLike] | None = None,
        batch_size: int = 128,
        query_max_length: int | None = None,
        max_length: int | None = None,
        normalize: bool = False,
        *,
        truncation: str = ONLY_SECOND,
        **kwargs: Any,
    ) -> None:
        self.truncation = _check_truncation(truncation)
        super().__init__(
            model_name_or_path,
            use_fp16=use_fp16,
            query_instruction_for_rerank=query_instruction_for_rerank,
            query_instruction_format=query_instruction_format,
            passage_instruction_for_rerank=passage_instruction_for_rerank,
            passage_instruction_format=passage_instruction_format,
            trust_remote_code=trust_remote_code,
            cache_dir=cache_dir,
            devices=devices,
            batch_size=batch_size,
            query_max_length=query_max_length,
            max_length=max_length,
            normalize=normalize,
            **kwargs,
        )

    def _load_model(self, checkpoint: Checkpoint, config: Any, dtype: torch.dtype, attention: str | None) -> Any:
        """Return the classifier with its head."""
        if config.num_labels != 1:
            raise CheckpointError(
                f"{checkpoint.source!r} has a head of {config.num_labels} labels (num_labels, id2label in its "
                f"config.json), and a reranker has one: which of them is the score cannot be known."
            )
        return checkpoint.load_model(AutoModelForSequenceClassification, config, dtype, attention, self.unused_weights)

    def _set_tokenizer(self, source: str, tokenizer: Any) -> None:
        super()._set_tokenizer(source, tokenizer)
        # Some tokenizers number the parts for models that have one kind of token, or were trained without them.
        named = tokenizer.model_input_names  # as tokenizer_config.json has it, whatever that is
        typed = isinstance(named, (list, tuple)) and "token_type_ids" in named
        typed = typed and (getattr(self._config, "type_vocab_size", 0) or 0) > 1
        self._frame, numbered = template_frame(source, tokenizer, typed)
        self._typed = typed and numbered
        self._pairs = PairTokenizer(tokenizer)
        config = self._config.get_text_config()
        if config.pad_token_id is None:
            config.pad_token_id = tokenizer.pad_token_id
        if config.pad_token_id is None:
            raise CheckpointError(f"{source!r} has no padding token. Set pad_token in its tokenizer_config.json.")
        self._pad_id = config.pad_token_id  # the model's own: a decoder's classifier finds the last token by it

    def _scoring(self, query_max_length: int | None, *, truncation: str | None = None) -> Scoring:
        rule = self.truncation if truncation is None else _check_truncation(truncation)
        tokenize = functools.partial(self._tokenized, query_max_length=query_max_length, truncation=rule)
        return Scoring(tokenize, self._forward)

    def _tokenized(
        self, pairs: Sequence[Pair], max_length: int, *, query_max_length: int | None, truncation: str
    ) -> Tokens[PairIds]:
        room = max_length - len(self._frame)
        check_room(room, max_length, len(self._frame))
        truncate: Truncate = (
            longest_first(room) if truncation == LONGEST_FIRST else only_second(query_max_length, room, max_length)
        )
        return self._pairs(pairs, self._frame, truncate, max_length)

    def _set_up(self, network: Any) -> None:
        network.config.get_text_config().pad_token_id = self._pad_id
        plain = PaddedClassifier(network, self._pad_id, self._device, typed=self._typed)
        self._forward: Forward[PairIds, Tensor] = plain
        self.engine = "padded batches"
        if self.packs:
            self._pack(network, plain)

    def _pack(self, network: Any, plain: PaddedClassifier) -> None:
        try:
            self._forward = packed = pack_classifier(network, plain)
        except NotPackableError as error:
            self.packs = False
            self._place(self._device, self._load_network())
            self.engine = f"padded batches ({error})"
        else:
            self.engine, self._network = str(packed), None


def _check_truncation(truncation: str) -> str:
    if truncation not in TRUNCATIONS:
        raise OptionError(f"truncation is one of {', '.join(map(repr, TRUNCATIONS))}, not {truncation!r}.")
    return truncation


FlagReranker = BaseReranker
