"""What the processes of a run on Ray do: read shards, compute them, write them. Nothing here knows Ray."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa

from FlagEmbedding.errors import FlagEmbeddingError, JobChangedError
from FlagEmbedding.jobs.blocks import Block, Cut, blocks
from FlagEmbedding.jobs.folder import output_folder
from FlagEmbedding.jobs.model import Encoded, JobModel
from FlagEmbedding.jobs.pipeline import Behind
from FlagEmbedding.jobs.reading import Input
from FlagEmbedding.jobs.settings import EmbedJob
from FlagEmbedding.jobs.shards import Shard, publish

_ROOM = 2  # blocks that wait to be written


@dataclasses.dataclass(frozen=True)
class Task:
    """What every process of a run is told.

    Attributes:
        job: The job, with the devices of a worker.
        source: The input.
        schema: The columns of the output.
        identity: Of the job, for the shards.
        model: The fingerprint that the model has to have.
    """

    job: EmbedJob
    source: Input
    schema: pa.Schema
    identity: str
    model: Mapping[str, Any]


def parts(task: Task, shards: range) -> Iterator[range]:
    """Yield what one task reads: a shard where any can be found at once, else all, so that nothing is read twice."""
    if task.source.rows is None:
        yield shards
    else:
        yield from (range(number, number + 1) for number in shards)


def read(batch: dict[str, Any], task: Task) -> Iterator[dict[str, Any]]:
    """Read a range of shards, and give them away one by one, each as one row: what Ray cuts, it cuts between rows.

    An error of ours is a row too. Ray would pass it on as a text.
    """
    for start, stop in zip(batch["start"].tolist(), batch["stop"].tolist(), strict=True):
        try:
            for shard in _shards(task, range(start, stop)):
                yield {"blocks": [pickle.dumps(shard)]}
        except FlagEmbeddingError as error:
            yield {"blocks": [pickle.dumps(error)]}


def _shards(task: Task, shards: range) -> Iterator[list[Block]]:
    held: list[Block] = []
    for block in blocks(task.source, Cut(task.job.shard_size, task.job.rows_at_a_time(1)), shards):
        held.append(block)
        if block.last:
            yield held
            held = []


class Worker:
    """An actor: a model that computes shards and writes them. What it cannot do is given back as an error of ours."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._folder = output_folder(task.job.output)
        self._model: JobModel | FlagEmbeddingError
        try:
            self._model = _checked(JobModel(task.job), task)
        except FlagEmbeddingError as error:
            self._model = error

    def __call__(self, batch: dict[str, Any]) -> dict[str, Any]:
        """Compute and write shards, each as :func:`read` gave it; return the :class:`Shard` of each, or the error."""
        return {"done": [pickle.dumps(self._done(pickle.loads(found))) for found in batch["blocks"]]}  # noqa: S301

    def _done(self, found: list[Block] | FlagEmbeddingError) -> Shard | FlagEmbeddingError:
        if isinstance(found, FlagEmbeddingError):
            return found
        try:
            return self._shard(found)
        except FlagEmbeddingError as error:
            return error

    def _shard(self, found: list[Block]) -> Shard:
        if isinstance(self._model, FlagEmbeddingError):
            raise self._model
        done: list[Shard] = []
        task = self._task

        def write(encoded: Iterator[Encoded]) -> None:
            done.extend(publish(self._folder, task.identity, task.schema, encoded))

        with Behind(write, _ROOM) as writer:
            for block in found:
                writer.put(self._model(block, task.source.schema))
        return done[0]


def _checked(model: JobModel, task: Task) -> JobModel:
    if model.fingerprint() != task.model:
        raise JobChangedError(
            f"{task.job.model!r} is not the same model on every node, or runs in another precision on some. Give a "
            f"folder that all of them see, or the same revision, and GPUs to all or to none."
        )
    return model


def described(job: EmbedJob, columns: pa.Schema) -> tuple[pa.Schema, dict[str, Any]] | FlagEmbeddingError:
    """Load the model where one will be at work, and say what it is: the driver may have no room for it."""
    try:
        model = JobModel(job)
        return model.schema(columns), model.fingerprint()
    except FlagEmbeddingError as error:
        return error
