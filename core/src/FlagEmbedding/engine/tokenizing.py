"""Tokenising: every text once, in bulk, as lists of ids; nothing padded, no state that two threads could share."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from FlagEmbedding.errors import OptionError


@dataclass(frozen=True)
class Tokens:
    """The token ids of each text, special tokens included, and how many texts were cut to fit."""

    ids: list[list[int]]
    cut: int


class TextTokenizer:
    """A transformers tokenizer, used without its truncation and padding settings.

    Those settings live in the shared Rust object: flipped by one thread, they fail in another ("Already borrowed"),
    and ``tokenizer.json`` files arrive with settings of their own (MiniLM's cuts at 128 tokens).
    """

    def __init__(self, tokenizer: Any) -> None:
        self._backend = tokenizer.backend_tokenizer
        self._backend.no_truncation()
        self._backend.no_padding()
        self._special = tokenizer.num_special_tokens_to_add()
        self._from_left = tokenizer.truncation_side == "left"
        self._tokenizer = tokenizer

    def copy_for_user(self) -> Any:
        """Return a tokenizer of the caller's own: using it cannot change how texts are encoded here."""
        return copy.deepcopy(self._tokenizer)

    def __call__(self, texts: Sequence[str], max_length: int) -> Tokens:
        """Tokenise ``texts``, each cut to ``max_length`` tokens (special tokens included) as the tokenizer would.

        Raises:
            OptionError: ``max_length`` leaves no room for a token of the text.
        """
        if max_length <= self._special:
            raise OptionError(
                f"max_length={max_length} leaves no room: this tokenizer adds {self._special} special tokens."
            )
        encodings = self._backend.encode_batch_fast(list(texts), add_special_tokens=True)
        long = [len(encoding) > max_length for encoding in encodings]
        ids = [
            self._cut(encoding, max_length) if cut else encoding.ids
            for encoding, cut in zip(encodings, long, strict=True)
        ]
        return Tokens(ids, sum(long))

    def _cut(self, encoding: Any, max_length: int) -> list[int]:
        """Drop tokens from one end of the text (the tokenizer says which), keeping the special tokens around it."""
        ids: list[int] = encoding.ids
        special: list[int] = encoding.special_tokens_mask
        start = special.index(0)
        end = len(special) - special[::-1].index(0)
        room = max_length - start - (len(ids) - end)
        kept = ids[end - room : end] if self._from_left else ids[start : start + room]
        return ids[:start] + kept + ids[end:]
