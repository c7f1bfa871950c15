"""The forward: rows of token ids in, token vectors out, with as little around the session as there can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import onnxruntime
import torch
from torch import Tensor

from FlagEmbedding.engine.forward import Hidden

Rectangle: TypeAlias = np.ndarray[Any, np.dtype[np.int64]]

_ERRORS_ONLY = 3  # of what onnxruntime writes to stderr
_NO_MEMORY = ("Failed to allocate memory", "bad_alloc", "bad allocation")


def open_session(path: Path) -> Any:
    """Return an ``InferenceSession`` with as many threads as torch has at this moment."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = _ERRORS_ONLY
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


@dataclass(frozen=True)
class OnnxVectors:
    """The token vectors of one batch; see :class:`~FlagEmbedding.engine.forward.TokenVectors`.

    Attributes:
        states: float32 ``[texts, tokens, width]``.
        ids: int64 ``[texts, tokens]``, the tokens.
        mask: int64 ``[texts, tokens]``, 1 where there is a token.
        equal: Whether all rows are equally long, so that nothing is padding.
    """

    states: Tensor
    ids: Rectangle
    mask: Rectangle
    equal: bool

    def first(self) -> Tensor:
        """Return each text's first token: the padding is on the right."""
        return self.states[:, 0]

    def last(self) -> Tensor:
        """Return each text's last token."""
        return self.states[:, -1] if self.equal else self.padded().last()

    def mean(self) -> Tensor:
        """Return the mean over each text's tokens."""
        return self.states.mean(dim=1) if self.equal else self.padded().mean()

    def padded(self) -> Hidden:
        """Return everything."""
        return Hidden(self.states, torch.from_numpy(self.mask).bool(), torch.from_numpy(self.ids))


class OnnxForward:
    """A session on an export of a backbone.

    Args:
        session: An ``onnxruntime.InferenceSession``; its inputs are the ids and the mask, its output the states.
        pad_id: The token that fills up a rectangle.
    """

    def __init__(self, session: Any, pad_id: int) -> None:
        self._session = session
        self._pad_id = pad_id

    def __call__(self, rows: Sequence[list[int]], /) -> OnnxVectors:
        """Return the token vectors of ``rows``."""
        width = max(map(len, rows))
        equal = all(len(row) == width for row in rows)
        ids, mask = _full(rows) if equal else _padded(rows, width, self._pad_id)
        return OnnxVectors(torch.from_numpy(self._run(ids, mask)), ids, mask, equal)

    def _run(self, ids: Rectangle, mask: Rectangle) -> Any:
        try:
            return self._session.run(None, {"input_ids": ids, "attention_mask": mask})[0]
        except Exception as error:
            if any(words in str(error) for words in _NO_MEMORY):  # the planner then tries again with fewer rows
                raise MemoryError(str(error)) from error
            raise


def _full(rows: Sequence[list[int]]) -> tuple[Rectangle, Rectangle]:
    ids = np.array(rows, dtype=np.int64)
    return ids, np.ones_like(ids)


def _padded(rows: Sequence[list[int]], width: int, pad_id: int) -> tuple[Rectangle, Rectangle]:
    ids = np.full((len(rows), width), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for index, row in enumerate(rows):
        ids[index, : len(row)], mask[index, : len(row)] = row, 1
    return ids, mask
