"""The same job on Ray: rows are read by tasks, computed by actors, and written as the same shards."""

from __future__ import annotations

import contextlib
import dataclasses
import gc
import logging
import pickle
import time
from collections.abc import Iterator, Mapping

from FlagEmbedding.errors import FlagEmbeddingError, JobError, MissingExtraError, OptionError
from FlagEmbedding.jobs.folder import Folder, output_folder
from FlagEmbedding.jobs.local import Report, completed, describe, missing
from FlagEmbedding.jobs.manifest import agree
from FlagEmbedding.jobs.progress import Progress
from FlagEmbedding.jobs.reading import find_input
from FlagEmbedding.jobs.settings import EmbedJob
from FlagEmbedding.jobs.shards import Shard, finished
from FlagEmbedding.jobs.tasks import Task, Worker, described, parts, read

try:
    import ray
    import ray.data
except ImportError as error:
    raise MissingExtraError(
        f"a job on Ray needs ray, and {error.name!r} is not installed. "
        f"Install it: pip install 'flagembedding-core[ray]'"
    ) from error

logger = logging.getLogger(__name__)

# CPUs of a task that reads. None is set aside for it: workers may have taken all there are, and wait for what it reads.
_READING = 0


def run_on_ray(
    job: EmbedJob, *, workers: int = 1, gpus_per_worker: float = 0.0, cpus_per_worker: float = 1.0
) -> Report:
    """Do ``job`` on the Ray cluster that this process or the environment names, else on one of this machine.

    The output is that of :func:`~FlagEmbedding.jobs.run`, and either goes on where the other was interrupted. Every
    node must see the input and the output under the same names.

    Args:
        job: The job; its ``devices`` are Ray's to give.
        workers: Actors, each with the model.
        gpus_per_worker: What Ray sets aside for each; half a GPU puts two of them on one.
        cpus_per_worker: The same for CPUs.

    Raises:
        OptionError: The job names devices.
        MissingExtraError: Ray is not installed.
        JobError: As for a local run; or workers died too often.
    """
    if job.devices is not None:
        raise OptionError("on Ray devices are given by gpus_per_worker and cpus_per_worker: leave devices out.")
    resources = {"num_gpus": gpus_per_worker, "num_cpus": cpus_per_worker}
    job = dataclasses.replace(job, devices=None if gpus_per_worker else ("cpu",))
    folder = output_folder(job.output)
    with folder.lock(), _cluster(workers, resources):
        source = find_input(job)
        with _explained():
            found = ray.get(ray.remote(described).options(**resources).remote(job, source.schema))
        if isinstance(found, FlagEmbeddingError):
            raise found
        schema, fingerprint = found
        manifest = describe(job, source, fingerprint, schema)
        agree(folder, manifest)
        task = Task(job, source, schema, manifest.identity, fingerprint)
        return _run(task, folder, workers, resources)


def _run(task: Task, folder: Folder, workers: int, resources: Mapping[str, float]) -> Report:
    before = finished(folder, task.identity)
    start, done = time.perf_counter(), dict(before)
    with Progress(task.source, before.values(), task.job.show_progress) as progress, _explained():
        while not _went_through(task, done, folder, progress, workers, resources):
            gc.collect()  # the actors that live on are held by what refers to itself, and hold what others wait for
            logger.warning("an actor of the job died for good, and it goes on with the shards that are missing")
    return completed(task.job, folder, before, done, time.perf_counter() - start)


def _went_through(
    task: Task,
    done: dict[int, Shard],
    folder: Folder,
    progress: Progress,
    workers: int,
    resources: Mapping[str, float],
) -> bool:
    """Add the shards that are missing to ``done``; say whether these are all, or an actor died for good on the way.

    Ray starts most actors that die again by itself.
    """
    known = len(done)
    try:
        for shard in _computed(task, done, workers, resources):
            progress.add_rows(0 if shard.number in done else shard.rows)
            done[shard.number] = shard
    except ray.exceptions.ActorDiedError:
        done |= finished(folder, task.identity)
        if len(done) == known:
            raise
        return False
    return True


def _computed(task: Task, done: Mapping[int, Shard], workers: int, resources: Mapping[str, float]) -> Iterator[Shard]:
    """Yield the shards that are not done, when they have their names, in any order."""
    ranges = [part for found in missing(done, task.job.shard_size, task.source.rows) for part in parts(task, found)]
    if ranges:
        for row in _dataset(task, ranges, workers, resources).iter_rows():
            found = pickle.loads(row["done"])  # noqa: S301 - our own
            if isinstance(found, FlagEmbeddingError):
                raise found
            yield found


def _dataset(task: Task, ranges: list[range], workers: int, resources: Mapping[str, float]) -> ray.data.Dataset:
    ray.data.DataContext.get_current().enable_progress_bars = False  # there is one of ours
    items = [{"start": part.start, "stop": part.stop} for part in ranges]
    several = ray.data.TaskPoolStrategy(size=min(workers, len(ranges)))
    return (
        ray.data.from_items(items, override_num_blocks=len(items))  # a task each
        .map_batches(read, fn_args=(task,), batch_size=1, num_cpus=_READING, compute=several)
        .map_batches(
            Worker,
            fn_constructor_args=(task,),
            batch_size=1,
            compute=ray.data.ActorPoolStrategy(size=workers),
            num_cpus=resources["num_cpus"],
            num_gpus=resources["num_gpus"],
        )
    )


@contextlib.contextmanager
def _cluster(workers: int, resources: Mapping[str, float]) -> Iterator[None]:
    """Use the cluster that there is; else start one, for as long as it is needed."""
    own = not ray.is_initialized()
    if own:
        ray.init(log_to_driver=False, logging_level=logging.WARNING)
    try:
        _check_room(workers, resources)
        yield
    finally:
        if own:
            ray.shutdown()


def _check_room(workers: int, resources: Mapping[str, float]) -> None:
    """Say so where workers would wait for ever, or until somebody adds machines."""
    there = ray.cluster_resources()
    for resource, name in (("CPU", "num_cpus"), ("GPU", "num_gpus")):
        if workers * resources[name] > there.get(resource, 0):
            logger.warning(
                "%d workers with %g %ss each are more than the %g that the cluster has: until it grows, some wait",
                *(workers, resources[name], resource, there.get(resource, 0)),
            )


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Raise Ray's errors as one of ours."""
    try:
        yield
    except ray.exceptions.RayError as error:
        raise JobError(
            f"the job failed on Ray: {error} Finished shards stay; the same command goes on after them."
        ) from error
