"""The one batch loop: each input once, tokenise, plan, forward, head, back in order."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence, Sized
from typing import Any, Generic, TypeVar

import torch

from FlagEmbedding.engine.forward import Forward
from FlagEmbedding.engine.lanes import in_lanes
from FlagEmbedding.engine.memory import is_out_of_memory, release
from FlagEmbedding.engine.outputs import Sink
from FlagEmbedding.engine.progress import progress_bar
from FlagEmbedding.engine.room import Room
from FlagEmbedding.engine.tokenizing import Tokens
from FlagEmbedding.errors import InputError

logger = logging.getLogger(__name__)

Input = TypeVar("Input")
Row = TypeVar("Row", bound=Sized)
Out = TypeVar("Out")
Result = TypeVar("Result")

# Inputs that are tokenised and sorted together. The ids of more would fill the memory of a long corpus, and sorting
# more saves no padding worth naming.
_BLOCK = 4096

_READ_AGAIN = 16  # tokens whose keys and values are read as fast as one is computed, at a guess on the safe side

_SLOW_S = 10.0  # a call that is worth a line in the log


class Engine(Generic[Input, Row, Out]):
    """One model on one device.

    Args:
        tokenizer: From texts or pairs, and the tokens of one that count, to rows of token ids.
        forward: From the rows of a batch to what a head reads.
        room: Where it computes.
        doing: What it does to what, for the progress bar.
        once: Tokens that every row begins with and that the forward computes once, whatever the number of rows.
    """

    def __init__(
        self,
        tokenizer: Callable[[Sequence[Input], int], Tokens[Row]],
        forward: Forward[Row, Out],
        room: Room,
        doing: tuple[str, str] = ("encoding", "texts"),
        *,
        once: int = 0,
    ) -> None:
        self._tokenizer = tokenizer
        self._forward = forward
        self._room = room
        self._doing = doing
        self._once = once

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
        """Give ``sink`` the ``head`` of every input; equal inputs are computed once.

        A batch that does not fit the memory is tried again in halves, down to one input; any other error passes.

        Args:
            inputs: Any number of texts or pairs.
            head: From a batch's output to one result a row.
            sink: Takes the results with the positions of their inputs.
            max_length: Tokens of an input that count, special tokens included.
            batch_size: At most so many rows in a forward; the plan may take fewer.
            show_progress: See :func:`~FlagEmbedding.engine.progress.progress_bar`.
        """
        if isinstance(inputs, str):  # it would be taken for a list of its characters
            raise InputError(
                "one string was given where a list of texts is needed: put it in a list, or call encode()."
            )
        start = time.perf_counter()
        first, repeated = _different(inputs)
        cut = computed = 0
        with progress_bar(len(inputs), show_progress, *self._doing) as bar, torch.inference_mode():
            for block in _blocks(first):
                tokens = self._tokenized(inputs, block, max_length)
                cut += tokens.cut
                computed += sum(map(len, tokens.rows))
                for batch, result in self._computed(tokens.rows, head, batch_size):
                    sink.put([block[index] for index in batch], result)
                    bar.update(len(batch))
            if repeated:
                sink.repeat(list(repeated.values()), list(repeated))
                bar.update(len(repeated))
        self._room.computed(computed)
        self._report_if_slow(len(inputs), time.perf_counter() - start)
        if cut:
            length = tokens.max_length
            logger.info("%d of %d different %s were cut to %d tokens", cut, len(first), self._doing[1], length)

    def _report_if_slow(self, count: int, seconds: float) -> None:
        if seconds > _SLOW_S:
            doing, what = self._doing
            rate = count / seconds
            logger.info("%s %d %s on %s: %.1f s, %.1f/s", doing, count, what, self._room.device, seconds, rate)

    def _tokenized(self, inputs: Sequence[Input], block: Sequence[int], max_length: int) -> Tokens[Row]:
        tokens = self._tokenizer([inputs[index] for index in block], max_length)
        if not all(map(len, tokens.rows)):
            empty = next(index for index, row in zip(block, tokens.rows, strict=True) if not len(row))
            one = self._doing[1].removesuffix("s")
            raise InputError(
                f"{one} {empty} ({inputs[empty]!r}) gives no token at all, so there is nothing to compute."
            )
        return tokens

    def _computed(
        self, rows: Sequence[Row], head: Callable[[Out], Result], batch_size: int
    ) -> Iterator[tuple[list[int], Result]]:
        """Yield the result of each batch, with the indices of its rows."""
        # The keys and values of what is computed once are read for each row all the same: they count a little.
        lengths = [max(len(row) - self._once, len(row) // _READ_AGAIN) for row in rows]
        plan, lanes = self._room.plan(lengths, batch_size)
        for batch, done in in_lanes(lambda batch: self._attempt([rows[index] for index in batch], head), plan, lanes):
            if done:
                yield batch, done[0]
            else:
                plan.halve(batch)
                self._room.shrink(plan)  # later runs need not find out again

    def _attempt(self, rows: Sequence[Row], head: Callable[[Out], Result]) -> tuple[Result] | None:
        """Return the result of one batch, or None when it did not fit the memory and is no single row."""
        try:
            return (head(self._forward(rows)),)
        except Exception as error:
            if len(rows) == 1 or not is_out_of_memory(error):
                raise
        # The error is gone here, and with its traceback the tensors of the attempt.
        device, what = self._room.device, self._doing[1]
        release(device)
        logger.warning("out of memory on %s with %d %s at a time: going on with fewer", device, len(rows), what)
        return None


def _different(inputs: Sequence[Any]) -> tuple[list[int], dict[int, int]]:
    """Return the positions of what occurs first, and for each position of a repetition that of the first."""
    seen: dict[Any, int] = {}
    first, repeated = [], {}
    for position, item in enumerate(inputs):
        before = seen.setdefault(item, position)
        if before == position:
            first.append(position)
        else:
            repeated[position] = before
    return first, repeated


def _blocks(positions: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(positions), _BLOCK):
        yield positions[start : start + _BLOCK]
