"""The files of the output: a Parquet file a shard, which says in its footer which shard of which job it is."""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from FlagEmbedding.errors import JobChangedError, JobError
from FlagEmbedding.jobs.folder import Folder, explained
from FlagEmbedding.jobs.model import Encoded
from FlagEmbedding.jobs.rows import Reject
from FlagEmbedding.jobs.settings import RESERVED

_KEY = b"flagembedding"
_NAME = re.compile(r"part-(\d{6,})\.parquet")


@dataclass(frozen=True)
class Shard:
    """A finished shard.

    Attributes:
        job: The identity of its job.
        number: Its number, from 0.
        first: The number of its first row in the whole input.
        rows: How many rows of the input it is of.
        embedded: How many of them are in it.
        rejected: How many are not.
    """

    job: str
    number: int
    first: int
    rows: int
    embedded: int
    rejected: int


def shard_name(number: int) -> str:
    """Return the name of a shard's file."""
    return f"part-{number:06d}.parquet"


def rejects_name(number: int) -> str:
    """Return the name of the file with what a shard leaves out."""
    return f"rejects-{number:06d}.jsonl"


def finished(folder: Folder, job: str) -> dict[int, Shard]:
    """Return the finished shards of a job, by number.

    Raises:
        JobChangedError: There is one of another job.
        JobError: One is damaged.
    """
    found = [match for name in folder.names() if (match := _NAME.fullmatch(name))]
    return {int(match[1]): _known(folder, match[0], job) for match in found}


def _known(folder: Folder, name: str, job: str) -> Shard:
    try:
        with folder.open(name) as file:
            shard = Shard(**json.loads((pq.read_metadata(file).metadata or {})[_KEY]))
    except KeyError as error:
        raise _foreign(folder, name) from error
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise JobError(
            f"{name} in {folder.place!r} is damaged ({error}). Remove it, and the same command makes it anew."
        ) from error
    if shard.job != job or name != shard_name(shard.number):
        raise _foreign(folder, name)
    return shard


def _foreign(folder: Folder, name: str) -> JobChangedError:
    return JobChangedError(f"{name} in {folder.place!r} was not written by this job. Name another output.")


def publish(folder: Folder, job: str, schema: pa.Schema, blocks: Iterator[Encoded]) -> Iterator[Shard]:
    """Write shards, block by block as they come, and yield each when it has its name.

    What it leaves out is in its place before: a shard that is there is whole.

    Raises:
        JobError: One cannot be written.
    """
    for first in blocks:
        done: list[Shard] = []
        begun = Shard(job, first.block.shard, first.block.first, 0, 0, 0)
        write = functools.partial(_write, begun, schema, _of_one_shard(first, blocks), folder, done)
        with explained(folder.place):
            folder.publish(shard_name(begun.number), write)
        yield from done


def _of_one_shard(first: Encoded, blocks: Iterator[Encoded]) -> Iterator[Encoded]:
    """Yield the blocks of a shard, and ask for none beyond its last: that may be long in coming, or never come."""
    yield first
    while not first.block.last:
        first = next(blocks)
        yield first


def _write(
    shard: Shard, schema: pa.Schema, blocks: Iterator[Encoded], folder: Folder, done: list[Shard], path: Path
) -> None:
    rejects: list[Reject] = []
    # A file of our own: the writer leaves its open where the disk is full, and what is open keeps its room.
    with (
        pa.OSFile(str(path), "wb") as file,
        pq.ParquetWriter(file, schema, use_dictionary=_repeating(schema), write_page_checksum=True) as writer,
    ):
        for each in blocks:
            rejects += each.rejects
            shard = replace(
                shard,
                rows=shard.rows + len(each.block),
                embedded=shard.embedded + each.table.num_rows,
                rejected=len(rejects),
            )
            if each.table.num_rows:
                writer.write_table(each.table, each.table.num_rows)
        writer.add_key_value_metadata({_KEY: json.dumps(asdict(shard))})
    if rejects:
        lines = "".join(reject.line() for reject in rejects)
        folder.publish(rejects_name(shard.number), lambda path: path.write_text(lines, encoding="utf-8"))
    done.append(shard)


def _repeating(schema: pa.Schema) -> list[str]:
    """Return the columns that may well repeat a value; no vector does."""
    return [field.name for field in schema if field.name not in RESERVED and not pa.types.is_nested(field.type)]
