"""How far a job is: texts a second and the time left, also where nobody has counted the rows."""

from __future__ import annotations

from collections.abc import Collection
from typing import Self

from FlagEmbedding.engine.progress import progress_bar
from FlagEmbedding.jobs.blocks import Block
from FlagEmbedding.jobs.reading import Input
from FlagEmbedding.jobs.shards import Shard


class Progress:
    """A bar over the rows of an input; what an earlier run has done counts as done, and not for the rate.

    Args:
        source: The input.
        before: The shards that are finished.
        show: See :func:`~FlagEmbedding.engine.progress.progress_bar`.
    """

    def __init__(self, source: Input, before: Collection[Shard], show: bool | None) -> None:
        self._source = source
        self._bar = progress_bar(source.rows or 0, show, initial=sum(shard.rows for shard in before))

    def add(self, block: Block) -> None:
        """Say that ``block`` is computed."""
        if self._source.rows is None and block.pieces:
            read = self._source.done(block.pieces[-1])
            self._bar.total = round((block.first + len(block)) / max(read, 1e-9))
        self.add_rows(len(block))

    def add_rows(self, count: int) -> None:
        """Say that so many more are done."""
        self._bar.update(count)

    def __enter__(self) -> Self:
        self._bar.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.__exit__(None, None, None)
