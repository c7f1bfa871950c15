"""Pairs as token ids: each different text is tokenised once, and its ids are joined with those of its partners."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from FlagEmbedding.engine.explaining import tokenizing
from FlagEmbedding.engine.pairs import Pair
from FlagEmbedding.engine.tokenizing import Tokens, bare_backend, source_of
from FlagEmbedding.errors import CheckpointError, OptionError

ONLY_SECOND = "only_second"
LONGEST_FIRST = "longest_first"
TRUNCATIONS = (ONLY_SECOND, LONGEST_FIRST)

Truncate: TypeAlias = Callable[[int, int], tuple[int, int]]
"""From the numbers of tokens of query and passage to how many of each are kept."""


@dataclass(frozen=True, slots=True)
class PairIds:
    """One pair, ready for a model.

    Attributes:
        ids: All token ids, special ones included.
        before: Tokens before the passage.
        passage: Tokens of the passage.
    """

    ids: list[int]
    before: int
    passage: int

    def __len__(self) -> int:
        return len(self.ids)


@dataclass(frozen=True)
class Frame:
    """The ids around and between the two texts of a pair."""

    start: list[int]
    middle: list[int]
    end: list[int]

    def __len__(self) -> int:
        return len(self.start) + len(self.middle) + len(self.end)

    def around(self, query: list[int], passage: list[int]) -> PairIds:
        """Return the pair."""
        before = [*self.start, *query, *self.middle]
        return PairIds([*before, *passage, *self.end], len(before), len(passage))


class PairTokenizer:
    """Tokenises queries and passages apart, and puts the ids of a pair into a frame.

    Each different text is tokenised once, whatever the number of its pairs.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._source = source_of(tokenizer)
        self._backend = bare_backend(tokenizer)
        self._from_left = tokenizer.truncation_side == "left"

    def ids(self, text: str) -> list[int]:
        """Return the ids of one text, without special tokens."""
        with tokenizing(self._source, [text]):
            ids: list[int] = self._backend.encode(text, add_special_tokens=False).ids
        return ids

    def __call__(self, pairs: Sequence[Pair], frame: Frame, truncate: Truncate, max_length: int) -> Tokens[PairIds]:
        """Return one row a pair.

        Args:
            pairs: Any number of them, instructions included.
            frame: What goes around the texts.
            truncate: How much of a query and of a passage is kept.
            max_length: For the report of what was cut.
        """
        known = self._known(text for pair in pairs for text in pair)
        rows, cut = [], 0
        for query, passage in pairs:
            kept = truncate(len(known[query]), len(known[passage]))
            rows.append(frame.around(self._cut(known[query], kept[0]), self._cut(known[passage], kept[1])))
            cut += kept != (len(known[query]), len(known[passage]))
        return Tokens(rows, cut, max_length)

    def _known(self, texts: Iterable[str]) -> dict[str, list[int]]:
        different = list(dict.fromkeys(texts))
        with tokenizing(self._source, different):
            encodings = self._backend.encode_batch_fast(different, add_special_tokens=False)
        return {text: encoding.ids for text, encoding in zip(different, encodings, strict=True)}

    def _cut(self, ids: list[int], kept: int) -> list[int]:
        return ids[len(ids) - kept :] if self._from_left else ids[:kept]


def template_frame(source: str, tokenizer: Any, typed: bool) -> tuple[Frame, bool]:
    """Return the frame that a tokenizer itself puts around a pair, and whether it numbers the two parts.

    Args:
        source: The model, as messages call it.
        tokenizer: Of transformers.
        typed: Whether the model reads those numbers; otherwise any will do (Llama's second ``<s>`` has the second's).

    Raises:
        CheckpointError: It does anything but putting ids before, between and after the two texts.
    """
    backend = bare_backend(tokenizer)
    with tokenizing(source):
        probe = backend.encode("a", "b")
        texts = [backend.encode(text, add_special_tokens=False).ids for text in ("a", "b")]
    parts: list[int | None] = probe.sequence_ids
    first, second = (parts.index(part) if part in parts else -1 for part in (0, 1))
    frame = Frame(probe.ids[:first], probe.ids[first + len(texts[0]) : second], probe.ids[second + len(texts[1]) :])
    pair = frame.around(*texts)
    numbered = [0] * pair.before + [1] * (len(pair) - pair.before)
    known = not typed or probe.type_ids in (numbered, [0] * len(pair))
    if min(first, second) < 0 or pair.ids != probe.ids or not known:
        raise CheckpointError(
            f"the tokenizer of {source!r} joins a pair in a way that is not known here: {probe.tokens}. "
            f"Correct the post_processor in its tokenizer.json."
        )
    return frame, probe.type_ids == numbered


def only_second(query_max_length: int | None, room: int, max_length: int) -> Truncate:
    """Return the rule of the BGE rerankers: the query is cut first, to its own limit, and the passage to what is left.

    Args:
        query_max_length: Tokens that a query may have; None means three quarters of ``max_length``.
        room: Tokens that both may have; a token of it stays for the passage, whatever the query's limit.
        max_length: Tokens that a passage may have.
    """
    wanted = max_length * 3 // 4 if query_max_length is None else query_max_length
    query_room = min(wanted, room - 1)

    def truncate(query: int, passage: int) -> tuple[int, int]:
        kept = min(query, query_room)
        return kept, min(passage, max_length, room - kept)

    return truncate


def longest_first(room: int) -> Truncate:
    """Return the rule of ``tokenizers``: what is too long is taken from the longer text, until both are half."""

    def truncate(query: int, passage: int) -> tuple[int, int]:
        if query + passage <= room:
            return query, passage
        short = min(query, passage)
        if short <= room - short:
            return (short, room - short) if query <= passage else (room - short, short)
        half = room // 2
        return (half, room - half) if query <= passage else (room - half, half)

    return truncate


def check_room(room: int, max_length: int, taken: int) -> None:
    """Raise :class:`OptionError` unless there is room for a token of each text."""
    if room < 2:  # noqa: PLR2004 - one of the query, one of the passage
        raise OptionError(
            f"max_length={max_length} leaves no room for a query and a passage: {taken} tokens are put around them."
        )
