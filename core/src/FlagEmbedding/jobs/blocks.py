"""The input cut into shards, and these into blocks, by row numbers alone: every run of a job cuts alike."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass

import pyarrow as pa

from FlagEmbedding.jobs.files import InputFile
from FlagEmbedding.jobs.pieces import Piece, as_read
from FlagEmbedding.jobs.reading import Input


@dataclass(frozen=True)
class Block:
    """Rows that are computed together.

    Attributes:
        shard: The number of the shard they belong to.
        first: The number of the first of them in the whole input.
        pieces: They themselves.
        last: Whether they complete their shard.
    """

    shard: int
    first: int
    pieces: tuple[Piece, ...]
    last: bool

    def __len__(self) -> int:
        return sum(map(len, self.pieces))

    def table(self, schema: pa.Schema) -> pa.Table:
        """Return all rows as they were read."""
        return pa.concat_tables([as_read(schema).empty_table(), *(piece.table for piece in self.pieces)])


@dataclass(frozen=True)
class Cut:
    """Where the input is cut: after so many rows a shard, and so many a block within it."""

    shard: int
    block: int

    def end(self, row: int) -> int:
        """Return the first row after ``row`` that is in another block."""
        start = row - row % self.shard
        return min(start + self.shard, row - (row - start) % self.block + self.block)


def blocks(source: Input, cut: Cut, shards: range) -> Generator[Block, None, None]:
    """Yield the blocks of ``shards``, which are read once, from their first row on.

    A file that was changed since the job looked at it is noticed before the last block of a shard is given away.

    Args:
        source: The input.
        cut: Where it is cut.
        shards: Which shards; an end beyond the input is that of the input.

    Raises:
        JobError: A file cannot be read, or was changed.
    """
    held: Block | None = None
    files: set[InputFile] = set()
    for block in _cut(source.read(shards.start * cut.shard), cut, shards.stop):
        if held:
            complete = block.shard != held.shard
            yield _completed(held, files) if complete else held
            files = set() if complete else files
        files.update(piece.file for piece in block.pieces)
        held = block
    if held:
        yield _completed(held, files)


def _completed(block: Block, files: Iterable[InputFile]) -> Block:
    for file in files:
        file.check_unchanged()
    return Block(block.shard, block.first, block.pieces, last=True)


def _cut(pieces: Iterable[tuple[int, Piece]], cut: Cut, stop: int) -> Iterator[Block]:
    """Yield blocks, none of which knows yet whether it is the last of its shard."""
    held: list[Piece] = []
    first = 0
    for number, piece in _split(pieces, cut):
        if number >= stop * cut.shard:
            break
        first = first if held else number
        held.append(piece)
        if number + len(piece) == cut.end(first):
            yield Block(first // cut.shard, first, tuple(held), last=False)
            held = []
    if held:
        yield Block(first // cut.shard, first, tuple(held), last=False)


def _split(pieces: Iterable[tuple[int, Piece]], cut: Cut) -> Iterator[tuple[int, Piece]]:
    """Yield ``pieces`` so that none reaches beyond the end of a block."""
    for number, piece in pieces:
        done = 0
        while done < len(piece):
            length = min(len(piece) - done, cut.end(number + done) - number - done)
            yield number + done, piece.slice(done, length)
            done += length
