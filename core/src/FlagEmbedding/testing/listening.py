"""Listening: which texts reach the tokenizer of a model, byte for byte, and which ids come out of it."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

__tracebackhide__ = True  # see breach

_SEAMS = ("encode_single_device", "compute_score_single_gpu")


@dataclass
class Heard:
    """What was heard.

    Attributes:
        texts: Each text, as often as it came.
        ids: The ids that a text became, the last time; empty where no tokenizer could be listened to.
        where: Where it was listened.
    """

    where: str
    texts: list[str] = field(default_factory=list)
    ids: dict[str, list[int]] = field(default_factory=dict)

    def note(self, text: Any, encoding: Any = None) -> None:
        """Keep a text, or the texts of a pair, with the ids."""
        for part in [text] if isinstance(text, str) else text:
            self.texts.append(part)
            if encoding is not None:
                self.ids[part] = list(encoding.ids)


def tokenizer_of(model: Any) -> Any:
    """Return the transformers tokenizer that a model of the core's base classes tokenises with, else None."""
    return getattr(model, "_own_tokenizer", None)


@contextlib.contextmanager
def listening(model: Any) -> Iterator[Heard]:
    """Listen at a model's tokenizer; at what its author implements, where the class has no tokenizer of ours."""
    tokenizer = tokenizer_of(model)
    if tokenizer is None:
        target, heard = model, Heard(" or ".join(f"{name}()" for name in _SEAMS if hasattr(model, name)))
        spies = {name: _untokenised(heard, getattr(model, name)) for name in _SEAMS if hasattr(model, name)}
    else:
        target, heard = tokenizer.backend_tokenizer, Heard("the tokenizer")
        spies = {name: _in_bulk(heard, getattr(target, name)) for name in ("encode_batch", "encode_batch_fast")}
        spies["encode"] = _single(heard, target.encode)
    for name, spy in spies.items():
        setattr(target, name, spy)  # of this object alone: it hides the method of its class
    try:
        yield heard
    finally:
        for name in spies:
            delattr(target, name)


def _untokenised(heard: Heard, method: Callable[..., Any]) -> Callable[..., Any]:
    def spy(texts: Any, *args: Any, **kwargs: Any) -> Any:
        for text in texts:
            heard.note(text)
        return method(texts, *args, **kwargs)

    return spy


def _in_bulk(heard: Heard, method: Callable[..., Any]) -> Callable[..., Any]:
    def spy(texts: Any, *args: Any, **kwargs: Any) -> Any:
        encodings = method(texts, *args, **kwargs)
        for text, encoding in zip(texts, encodings, strict=True):
            heard.note(text, encoding)
        return encodings

    return spy


def _single(heard: Heard, method: Callable[..., Any]) -> Callable[..., Any]:
    def spy(text: Any, pair: Any = None, *args: Any, **kwargs: Any) -> Any:
        encoding = method(text, pair, *args, **kwargs)
        heard.note(text if pair is None else (text, pair), encoding)
        return encoding

    return spy
