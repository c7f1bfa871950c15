"""A job on this machine, from its first row, or from where it was interrupted, to its last."""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from FlagEmbedding import __version__
from FlagEmbedding.jobs.blocks import Cut, blocks
from FlagEmbedding.jobs.folder import Folder, explained, output_folder
from FlagEmbedding.jobs.manifest import Manifest, agree
from FlagEmbedding.jobs.model import Encoded, JobModel
from FlagEmbedding.jobs.pipeline import Behind, ahead, mapped
from FlagEmbedding.jobs.progress import Progress
from FlagEmbedding.jobs.reading import Input, find_input
from FlagEmbedding.jobs.settings import EmbedJob
from FlagEmbedding.jobs.shards import Shard, finished, publish

logger = logging.getLogger(__name__)

REPORT = "report.json"
"""The file that is there when a job has all its shards."""

_ROOM = 2  # blocks between two stages
_AT_ONCE = 2  # blocks under way on an accelerator: one is tokenised while the other is computed


@dataclass(frozen=True)
class Report:
    """What a job has done.

    Attributes:
        output: Where.
        shards: How many there are now.
        rows: How many rows the input has.
        embedded: How many of them are in the shards.
        rejected: How many are in the files of rejects.
        found: How many shards were finished before, by an earlier run.
        seconds: What this run took, the loading of the model left out.
        rate: Texts that this run embedded in a second.
    """

    output: str
    shards: int
    rows: int
    embedded: int
    rejected: int
    found: int
    seconds: float
    rate: float


def embed_corpus(inputs: Any, output: str, model: str, **options: Any) -> Report:
    """Embed a corpus from files into Parquet files; called again with the same arguments, go on after an interruption.

    Args:
        inputs: Files, folders, globs; paths or URLs.
        output: A folder, or a URL of one.
        model: A registered name, a hub id or a local folder.
        **options: The other attributes of :class:`~FlagEmbedding.jobs.settings.EmbedJob`.

    Returns:
        What was done.

    Raises:
        InputError: The input is not there, lacks a column, or has a bad row over which the job stops.
        OptionError: An option is unknown or out of range.
        JobChangedError: The output is of another model, other settings or another input.
        JobError: Something cannot be read or written, or another job is at work there. Finished shards stay.
    """
    return run(EmbedJob(inputs, output, model, **options))


def run(job: EmbedJob, model: JobModel | None = None) -> Report:
    """Do a job on this machine, from its first row, or from where it was interrupted, to its last.

    Args:
        job: The job.
        model: Its model, if it is loaded already; it stays loaded.

    Returns:
        What was done.

    Raises:
        InputError: As for :func:`embed_corpus`, like the others.
        OptionError: Likewise.
        JobChangedError: Likewise.
        JobError: Likewise.
    """
    folder = output_folder(job.output)
    with folder.lock():
        source = find_input(job)
        own = model or JobModel(job)
        try:
            return _run(job, folder, source, own)
        finally:
            if model is None:
                own.close()


def _run(job: EmbedJob, folder: Folder, source: Input, model: JobModel) -> Report:
    schema = model.schema(source.schema)
    manifest = describe(job, source, model.fingerprint(), schema)
    agree(folder, manifest)
    before = finished(folder, manifest.identity)
    start, done = time.perf_counter(), dict(before)

    def write(encoded: Iterator[Encoded]) -> None:
        for shard in publish(folder, manifest.identity, schema, encoded):
            done[shard.number] = shard

    with Progress(source, before.values(), job.show_progress) as progress, Behind(write, _ROOM) as writer:
        for shards in missing(before, job.shard_size, source.rows):
            for encoded in _encoded(job, source, model, shards):
                writer.put(encoded)
                progress.add(encoded.block)
    return completed(job, folder, before, done, time.perf_counter() - start)


def _encoded(job: EmbedJob, source: Input, model: JobModel, shards: range) -> Iterator[Encoded]:
    """Yield the blocks of some shards, computed, while those that follow are read."""
    cut = Cut(job.shard_size, job.rows_at_a_time(model.devices))
    at_once = _AT_ONCE if model.accelerated else 1
    with contextlib.closing(ahead(blocks(source, cut, shards), _ROOM)) as read:
        yield from mapped(lambda block: model(block, source.schema), read, at_once)


def describe(job: EmbedJob, source: Input, fingerprint: Mapping[str, Any], schema: pa.Schema) -> Manifest:
    """Return the manifest of a job."""
    return Manifest(
        model=fingerprint,
        settings=job.compared(),
        input=[file.identity() for file in source.files],
        columns={field.name: str(field.type) for field in schema},
        about={"model": job.model, "written_by": f"flagembedding-core {__version__}"},
    )


def missing(done: Mapping[int, Shard], size: int, rows: int | None) -> Iterator[range]:
    """Yield the shards that are not done, those that follow one another together.

    Args:
        done: Those that are.
        size: Rows of a shard.
        rows: Of the input; None where only reading it tells, and then the last range has no end to speak of.
    """
    if rows is None and any(shard.rows < size for shard in done.values()):
        rows = max(shard.first + shard.rows for shard in done.values())
    count = sys.maxsize // size if rows is None else -(-rows // size)
    start = 0
    for number in [*sorted(done), count]:
        if start < number:
            yield range(start, number)
        start = number + 1


def completed(
    job: EmbedJob, folder: Folder, before: Mapping[int, Shard], done: Mapping[int, Shard], seconds: float
) -> Report:
    """Write and return the report of a job that has all its shards."""
    embedded = sum(shard.embedded for shard in done.values())
    now = embedded - sum(shard.embedded for shard in before.values())
    report = Report(
        output=job.output,
        shards=len(done),
        rows=sum(shard.rows for shard in done.values()),
        embedded=embedded,
        rejected=sum(shard.rejected for shard in done.values()),
        found=len(before),
        seconds=round(seconds, 3),
        rate=round(now / max(seconds, 1e-9), 1),
    )
    kept = {name: value for name, value in asdict(report).items() if name in ("shards", "rows", "embedded", "rejected")}
    with explained(folder.place):
        folder.publish(REPORT, lambda path: path.write_text(json.dumps(kept) + "\n", encoding="utf-8"))
    logger.info("%s", report)
    return report
