"""The one batch loop: tokenise, plan, forward, head, back in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from FlagEmbedding.engine.forward import Forward, Hidden
from FlagEmbedding.engine.outputs import Sink
from FlagEmbedding.engine.planner import ACCELERATOR_TOKENS, CPU_TOKENS, Budget, plan
from FlagEmbedding.engine.progress import progress_bar
from FlagEmbedding.engine.tokenizing import TextTokenizer, Tokens
from FlagEmbedding.errors import InputError

logger = logging.getLogger(__name__)

Rows = TypeVar("Rows")


class Engine:
    """One model on one device."""

    def __init__(self, tokenizer: TextTokenizer, forward: Forward, device: str) -> None:
        self._tokenizer = tokenizer
        self._forward = forward
        self._tokens = CPU_TOKENS if device == "cpu" else ACCELERATOR_TOKENS

    def run(
        self,
        texts: Sequence[str],
        head: Callable[[Hidden], Rows],
        sink: Sink[Rows],
        *,
        max_length: int,
        batch_size: int,
        show_progress: bool | None = None,
    ) -> None:
        """Give ``sink`` the ``head`` of every text's token vectors, one forward a batch.

        Args:
            texts: Any number of texts.
            head: From a batch's token vectors to one row a text.
            sink: Takes the rows with the positions of their texts.
            max_length: Tokens of a text that count, special tokens included.
            batch_size: At most so many texts in a forward; the plan may take fewer.
            show_progress: See :func:`~FlagEmbedding.engine.progress.progress_bar`.
        """
        tokens = self._tokenize(texts, max_length)
        batches = plan([len(ids) for ids in tokens.ids], Budget(batch_size, self._tokens))
        with progress_bar(len(texts), show_progress) as bar, torch.inference_mode():
            for positions in batches:
                sink.put(positions, head(self._forward([tokens.ids[position] for position in positions])))
                bar.update(len(positions))

    def _tokenize(self, texts: Sequence[str], max_length: int) -> Tokens:
        if isinstance(texts, str):  # it would be taken for a list of its characters
            raise InputError(
                "one string was given where a list of texts is needed: put it in a list, or call encode()."
            )
        tokens = self._tokenizer(texts, max_length)
        if tokens.cut:
            logger.info("%d of %d texts were cut to %d tokens", tokens.cut, len(texts), max_length)
        if not all(tokens.ids):
            empty = next(index for index, ids in enumerate(tokens.ids) if not ids)
            raise InputError(f"text {empty} ({texts[empty]!r}) gives no token at all, so it has no vector.")
        return tokens
