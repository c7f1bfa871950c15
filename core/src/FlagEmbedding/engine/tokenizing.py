"""Tokenising: every text once, in bulk, as lists of ids; nothing padded, no state that two threads could share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from tokenizers import normalizers

from FlagEmbedding.engine.explaining import tokenizing
from FlagEmbedding.errors import OptionError

Row = TypeVar("Row")


@dataclass(frozen=True)
class Tokens(Generic[Row]):
    """One row of token ids for each text or pair.

    Attributes:
        rows: In order; special tokens included.
        cut: How many were cut to fit.
        max_length: The number of tokens they were cut to.
    """

    rows: list[Row]
    cut: int
    max_length: int


def source_of(tokenizer: Any) -> str:
    """Return the folder that a transformers tokenizer was loaded from, for messages."""
    return str(getattr(tokenizer, "name_or_path", ""))


def bare_backend(tokenizer: Any) -> Any:
    """Return the ``tokenizers`` object of a transformers tokenizer, its truncation and padding switched off.

    Those settings live in the shared Rust object: flipped by one thread, they fail in another ("Already borrowed"),
    and ``tokenizer.json`` files arrive with settings of their own (MiniLM's cuts at 128 tokens).
    """
    backend = tokenizer.backend_tokenizer
    backend.no_truncation()
    backend.no_padding()
    return backend


def put_into_lower_case(tokenizer: Any) -> None:
    """Let a transformers tokenizer put texts into lower case before anything else, unless it does so already."""
    backend = tokenizer.backend_tokenizer
    found: Any = backend.normalizer
    several = isinstance(found, normalizers.Sequence)  # in a variable: its type does not say that it can be iterated
    steps = [*found] if several else [found] if found else []
    if not any(isinstance(step, normalizers.Lowercase) for step in steps):
        backend.normalizer = normalizers.Sequence([normalizers.Lowercase(), *steps])


class TextTokenizer:
    """A transformers tokenizer, used without its truncation and padding settings (see :func:`bare_backend`)."""

    def __init__(self, tokenizer: Any) -> None:
        self._source = source_of(tokenizer)
        with tokenizing(self._source):
            self._backend = bare_backend(tokenizer)
            self._special = tokenizer.num_special_tokens_to_add()
        self._from_left = tokenizer.truncation_side == "left"

    def __call__(self, texts: Sequence[str], max_length: int) -> Tokens[list[int]]:
        """Tokenise ``texts``, each cut to ``max_length`` tokens (special tokens included) as the tokenizer would.

        Raises:
            OptionError: ``max_length`` leaves no room for a token of the text.
            InputError: An instruction is no valid Unicode.
            CheckpointError: The tokenizer fails.
        """
        if max_length <= self._special:
            raise OptionError(
                f"max_length={max_length} leaves no room: this tokenizer adds {self._special} special tokens."
            )
        with tokenizing(self._source, texts):
            encodings = self._backend.encode_batch_fast(list(texts), add_special_tokens=True)
        long = [len(encoding) > max_length for encoding in encodings]
        ids = [
            self._cut(encoding, max_length) if cut else encoding.ids
            for encoding, cut in zip(encodings, long, strict=True)
        ]
        return Tokens(ids, sum(long), max_length)

    def _cut(self, encoding: Any, max_length: int) -> list[int]:
        """Drop tokens from one end of the text (the tokenizer says which), keeping the special tokens around it."""
        ids: list[int] = encoding.ids
        special: list[int] = encoding.special_tokens_mask
        start = special.index(0)
        end = len(special) - special[::-1].index(0)
        room = max_length - start - (len(ids) - end)
        kept = ids[end - room : end] if self._from_left else ids[start : start + room]
        return ids[:start] + kept + ids[end:]
