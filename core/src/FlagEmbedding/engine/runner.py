"""The one batch loop: tokenise, plan, forward, head, back in order."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence, Sized
from typing import Generic, TypeVar

import torch

from FlagEmbedding.engine.forward import Forward
from FlagEmbedding.engine.outputs import Sink
from FlagEmbedding.engine.planner import ACCELERATOR_TOKENS, CPU_TOKENS, Budget, plan
from FlagEmbedding.engine.progress import progress_bar
from FlagEmbedding.engine.tokenizing import Tokens
from FlagEmbedding.errors import InputError

logger = logging.getLogger(__name__)

Input = TypeVar("Input")
Row = TypeVar("Row", bound=Sized)
Out = TypeVar("Out")
Result = TypeVar("Result")


class Engine(Generic[Input, Row, Out]):
    """One model on one device.

    Args:
        tokenizer: From texts or pairs, and the tokens of one that count, to rows of token ids.
        forward: From the rows of a batch to what a head reads.
        device: As torch spells it.
        doing: What it does to what, for the progress bar.
    """

    def __init__(
        self,
        tokenizer: Callable[[Sequence[Input], int], Tokens[Row]],
        forward: Forward[Row, Out],
        device: str,
        doing: tuple[str, str] = ("encoding", "texts"),
    ) -> None:
        self._tokenizer = tokenizer
        self._forward = forward
        self._tokens = CPU_TOKENS if device == "cpu" else ACCELERATOR_TOKENS
        self._doing = doing

    def run(
        self,
        inputs: Sequence[Input],
        head: Callable[[Out], Result],
        sink: Sink[Result],
        *,
        max_length: int,
        batch_size: int,
        show_progress: bool | None = None,
    ) -> None:
        """Give ``sink`` the ``head`` of every input, one forward a batch.

        Args:
            inputs: Any number of texts or pairs.
            head: From a batch's output to one result a row.
            sink: Takes the results with the positions of their inputs.
            max_length: Tokens of an input that count, special tokens included.
            batch_size: At most so many rows in a forward; the plan may take fewer.
            show_progress: See :func:`~FlagEmbedding.engine.progress.progress_bar`.
        """
        rows = self._tokenized(inputs, max_length)
        batches = plan([len(row) for row in rows], Budget(batch_size, self._tokens))
        with progress_bar(len(inputs), show_progress, *self._doing) as bar, torch.inference_mode():
            for positions in batches:
                sink.put(positions, head(self._forward([rows[position] for position in positions])))
                bar.update(len(positions))

    def _tokenized(self, inputs: Sequence[Input], max_length: int) -> list[Row]:
        if isinstance(inputs, str):  # it would be taken for a list of its characters
            raise InputError(
                "one string was given where a list of texts is needed: put it in a list, or call encode()."
            )
        tokens = self._tokenizer(inputs, max_length)
        if tokens.cut:
            unit = self._doing[1]
            logger.info("%d of %d %s were cut to %d tokens", tokens.cut, len(inputs), unit, tokens.max_length)
        if not all(map(len, tokens.rows)):
            empty = next(index for index, row in enumerate(tokens.rows) if not len(row))
            raise InputError(f"text {empty} ({inputs[empty]!r}) gives no token at all, so it has no vector.")
        return tokens.rows
