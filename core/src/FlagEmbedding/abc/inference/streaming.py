"""Corpora that do not fit into memory: texts block by block, and vectors into an array that is there already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sized
from itertools import chain, islice
from typing import Any

import numpy as np

from FlagEmbedding.engine.texts import as_texts, each
from FlagEmbedding.errors import InputError, OptionError


def text_blocks(texts: Iterable[Any], size: int, what: str = "sentences") -> Iterator[list[str]]:
    """Yield checked texts, ``size`` at a time, reading no further ahead.

    Raises:
        InputError: Something is no text; the message says which.
    """
    if isinstance(texts, str):
        raise InputError(f"{what} must be any number of strings here, not one string.")
    start, remaining = 0, each(texts, what)
    for first in remaining:
        block, _ = as_texts(chain([first], islice(remaining, size - 1)), what, start)
        yield block
        start += len(block)


def fill(out: Any, texts: Iterable[Any], size: int, encode: Callable[[list[str]], Any]) -> Any:
    """Write the vectors of texts into ``out``, block by block, and return it.

    Args:
        out: A floating-point array ``[texts, dimension]``; ``numpy.memmap`` is one.
        texts: Any number of them.
        size: Of a block.
        encode: From a block to its vectors.

    Raises:
        InputError: Something is no text.
        OptionError: ``out`` has another shape than the vectors, or is no such array. That is said before a block is
            computed, but for a number of texts that only reading them tells: what was written then stays.
    """
    if not isinstance(out, np.ndarray) or out.ndim != 2 or not np.issubdtype(out.dtype, np.floating):  # noqa: PLR2004
        raise OptionError("out must be a floating-point numpy array (a memmap, say) of shape [texts, dimension].")
    blocks = text_blocks(texts, size)
    first = next(blocks, None)  # refuses what is no number of texts
    if isinstance(texts, Sized) and len(texts) != len(out):
        raise OptionError(f"out has room for {len(out)} texts, and there are {len(texts)}.")
    done = 0
    if first is not None:
        _check_width(out, encode(first[:1]))
        for block in chain([first], blocks):
            if done + len(block) > len(out):
                raise OptionError(f"out has room for {len(out)} texts, and there are more.")
            out[done : done + len(block)] = encode(block)
            done += len(block)
    if done < len(out):
        raise OptionError(f"out has room for {len(out)} texts, and there were only {done}.")
    return out


def _check_width(out: Any, rows: Any) -> None:
    if getattr(rows, "ndim", None) != 2 or rows.shape[1] != out.shape[1]:  # noqa: PLR2004
        raise OptionError(f"out has rows of {out.shape[1]} numbers; {_described(rows)}.")


def _described(rows: Any) -> str:
    shape = getattr(rows, "shape", None)
    return f"the model gives {shape[-1]} a text" if shape else f"this model gives a {type(rows).__name__}, no vectors"
