"""Explaining: whatever the libraries raise over the files of a model becomes one error of ours that names the model."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence

import torch
from safetensors import SafetensorError

from FlagEmbedding.engine.memory import is_out_of_memory
from FlagEmbedding.engine.quiet import quiet_transformers
from FlagEmbedding.engine.texts import as_texts
from FlagEmbedding.errors import CheckpointError, FlagEmbeddingError

_NO_ROW = "index out of range in self"  # as torch says it of a table
_NO_EXCEPTIONS = ("pyo3_runtime", "torch")
_SHOWN = 1000  # characters of a foreign message; some repeat the file


@contextlib.contextmanager
def explained(part: str, source: str) -> Iterator[None]:
    """Load a part of a model quietly.

    Raises:
        CheckpointError: The libraries raised something over it.
    """
    try:
        with quiet_transformers():
            yield
    except (FlagEmbeddingError, torch.OutOfMemoryError):
        raise
    except SafetensorError as error:
        raise CheckpointError(f"the weights of {source!r} are damaged ({error}). Fetch or copy them again.") from error
    except BaseException as error:
        _pass_on_what_is_no_fault(error)
        raise CheckpointError(f"the {part} of {source!r} cannot be loaded: {described(error)}") from error


@contextlib.contextmanager
def tokenizing(source: str, texts: Sequence[str] = ()) -> Iterator[None]:
    """Let a tokenizer take texts apart.

    Raises:
        InputError: A text is no valid Unicode; the texts themselves were checked, their instructions were not.
        CheckpointError: The tokenizer raised something else: its files describe one that cannot work.
    """
    try:
        yield
    except FlagEmbeddingError:
        raise
    except BaseException as error:
        _pass_on_what_is_no_fault(error)
        as_texts(list(texts), "texts with their instructions")
        raise CheckpointError(
            f"the tokenizer of {source!r} cannot take texts apart: {described(error)} Correct its tokenizer.json."
        ) from error


@contextlib.contextmanager
def running(source: str) -> Iterator[None]:
    """Try a network out, while it is loaded.

    Raises:
        CheckpointError: It raised something: its files describe a network that cannot work.
    """
    try:
        yield
    except (FlagEmbeddingError, torch.AcceleratorError):
        raise
    except Exception as error:
        if is_out_of_memory(error):
            raise
        raise CheckpointError(
            f"the network that config.json of {source!r} describes cannot be run: {described(error)}"
        ) from error


@contextlib.contextmanager
def known_tokens(source: str) -> Iterator[None]:
    """Look tokens up in the tables of a network.

    Raises:
        CheckpointError: A table has no row for one. (That all tokens have one could be known before, from a list of
            them, which takes a quarter of a second for a large vocabulary.)
    """
    try:
        yield
    except IndexError as error:
        if _NO_ROW not in str(error):
            raise
        raise CheckpointError(
            f"the tokenizer of {source!r} gave a token that the model has no row for: they do not belong together."
        ) from error


def described(error: BaseException) -> str:
    """Return an error of another library in a line or a few."""
    text = f"{type(error).__name__}: {error}"
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} ..."


def _pass_on_what_is_no_fault(error: BaseException) -> None:
    """Raise an interruption, and what asks the process to end.

    Neither is a panic of Rust code, nor what torch raises over a distributed checkpoint; nor are these Exceptions.
    """
    if not isinstance(error, Exception) and type(error).__module__.partition(".")[0] not in _NO_EXCEPTIONS:
        raise error
