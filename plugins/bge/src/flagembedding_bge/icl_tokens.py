"""Queries of in-context-learning models as token ids: examples, query and suffix in one string, cut in its middle."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from FlagEmbedding.engine.tokenizing import TextTokenizer, Tokens
from FlagEmbedding.errors import OptionError


class QueryTokenizer(TextTokenizer):
    r"""Tokenises ``prefix + query + suffix`` as one string, and shortens the query alone where that is too long.

    The parts are never tokenised apart and joined: a tokenizer may merge across a seam (Qwen's makes one token of
    ``"?\n"``) and sentencepiece ones put a space before whatever comes first. So the ids are always those of the
    whole string; a query is cut as text, at the border of a token.

    Args:
        tokenizer: A transformers tokenizer with a ``tokenizers`` backend.
        prefix: Comes before every query.
        suffix: Comes after every query.
        limit: Tokens that the model has positions for; None when nothing limits it.

    Attributes:
        prefix_tokens: Tokens of the prefix.
    """

    def __init__(self, tokenizer: Any, prefix: str, suffix: str, limit: int | None) -> None:
        super().__init__(tokenizer)
        self._prefix = prefix
        self._suffix = suffix
        self._limit = limit
        self.prefix_tokens = self._count(prefix)
        self._overhead: int = self._special + self._count(suffix)

    def __call__(self, texts: Sequence[str], max_length: int) -> Tokens[list[int]]:
        """Tokenise queries, each cut to what of ``max_length`` the special tokens and the suffix leave to it.

        Args:
            texts: The queries, instruction included. Cut at their end, so that the instruction stays.
            max_length: Tokens of query, suffix and special tokens. The prefix comes on top of it.

        Returns:
            The ids of ``prefix + query + suffix``, special tokens included; never more than the limit.

        Raises:
            OptionError: There is no room for a token of the query.
        """
        total = self.prefix_tokens + max_length
        total = total if self._limit is None else min(total, self._limit)
        room = self._room(total, max_length)
        alone = self._backend.encode_batch(list(texts), add_special_tokens=False)
        kept = [_shortened(text, encoding.offsets, room) for text, encoding in zip(texts, alone, strict=True)]
        whole = self._backend.encode_batch_fast([self._joined(text) for text in kept])
        ids = [self._fitted(text, encoding.ids, total) for text, encoding in zip(kept, whole, strict=True)]
        return Tokens(ids, sum(short != text for short, text in zip(kept, texts, strict=True)), max_length)

    def _room(self, total: int, max_length: int) -> int:
        room = total - self.prefix_tokens - self._overhead
        if room < 1:
            raise OptionError(
                f"no room is left for the query: max_length={max_length} also holds the suffix and special tokens "
                f"({self._overhead}), and the model has {'any number of' if self._limit is None else self._limit} "
                f"positions, of which the examples take {self.prefix_tokens}. Raise max_length, or give fewer or "
                f"shorter examples."
            )
        return room

    def _fitted(self, text: str, ids: list[int], total: int) -> list[int]:
        """Drop characters until the whole fits.

        Next to the suffix a text can have more tokens than it has alone; and a character that is several tokens is
        kept whole at first, though some of them were to go.
        """
        while len(ids) > total and text:
            text = text[:-1]
            ids = self._backend.encode(self._joined(text)).ids
        return ids

    def _joined(self, text: str) -> str:
        return f"{self._prefix}{text}{self._suffix}"

    def _count(self, text: str) -> int:
        return len(self._backend.encode(text, add_special_tokens=False))


def _shortened(text: str, offsets: Sequence[tuple[int, int]], room: int) -> str:
    """Return the text of the first ``room`` tokens, without a space that belongs to the next one."""
    return text if len(offsets) <= room else text[: offsets[room - 1][1]]
