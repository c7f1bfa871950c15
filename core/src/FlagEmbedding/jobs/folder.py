"""The folder of the output: a file is there whole or not at all, whatever ends the process."""

from __future__ import annotations

import contextlib
import os
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Protocol

import filelock
import fsspec
import pyarrow as pa
import pyarrow.fs

from FlagEmbedding.errors import JobError

_PART = ".tmp-"  # what such names begin with was not finished
_LOCK = ".lock"

Write = Callable[[Path], object]
"""Writes a file at a path."""


class Folder(Protocol):
    """Where a job writes."""

    place: str

    def lock(self) -> contextlib.AbstractContextManager[object]:
        """Keep other jobs out while the block runs, and remove what killed ones left unfinished.

        Raises:
            JobError: Another job is at work here.
        """

    def names(self) -> list[str]:
        """Return the names of the files that are there."""

    def open(self, name: str) -> pa.NativeFile:
        """Return a file, to be read."""

    def publish(self, name: str, write: Write) -> None:
        """Have ``write`` make a file under another name, and give it ``name`` when it is safe on the disk."""


def output_folder(place: str) -> Folder:
    """Return the folder at ``place``, which is made if need be.

    Raises:
        JobError: It cannot be made.
    """
    try:
        filesystem, path = fsspec.core.url_to_fs(place)
        filesystem.makedirs(path, exist_ok=True)
    except (OSError, ValueError, ImportError) as error:
        raise JobError(f"the output folder {place!r} cannot be made: {error}") from error
    local = "file" in ((filesystem.protocol,) if isinstance(filesystem.protocol, str) else filesystem.protocol)
    return LocalFolder(Path(path)) if local else RemoteFolder(place, filesystem, str(path))


class LocalFolder:
    """A folder of this machine, or of a network drive."""

    def __init__(self, path: Path) -> None:
        self.place = str(path)
        self._path = path

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """See :class:`Folder`. The system gives the lock back when its process ends, however it ends."""
        with explained(self.place):
            lock = filelock.FileLock(self._path / _LOCK, blocking=False)
            try:
                lock.acquire()
            except filelock.Timeout as error:
                raise JobError(
                    f"another job is writing to {self.place!r} at this moment. Wait for it, or name another output."
                ) from error
        try:
            self._sweep()
            yield
        finally:
            self._sweep()  # processes of this job may have been killed
            lock.release()

    def _sweep(self) -> None:
        for path in self._path.glob(f"{_PART}*"):
            path.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """See :class:`Folder`."""
        return sorted(path.name for path in self._path.iterdir())

    def open(self, name: str) -> pa.NativeFile:
        """See :class:`Folder`."""
        return pyarrow.fs.LocalFileSystem().open_input_file(str(self._path / name))

    def publish(self, name: str, write: Write) -> None:
        """See :class:`Folder`. File and folder are synced: what has its name has its content after a power cut too."""
        part = self._path / f"{_PART}{uuid.uuid4().hex[:12]}-{name}"
        try:
            write(part)
            _sync(part)
            part.replace(self._path / name)
            _sync(self._path)
        finally:
            part.unlink(missing_ok=True)


class RemoteFolder:
    """A folder that fsspec knows. Its files are made on this machine and then put there; it has no locks."""

    def __init__(self, place: str, filesystem: Any, path: str) -> None:
        self.place = place
        self._filesystem = filesystem
        self._path = path.rstrip("/")

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """See :class:`Folder`; but keep nobody out."""
        for name in self.names():
            if name.startswith(_PART):
                self._filesystem.rm_file(f"{self._path}/{name}")
        yield

    def names(self) -> list[str]:
        """See :class:`Folder`."""
        self._filesystem.invalidate_cache(self._path)
        paths = self._filesystem.ls(self._path, detail=False)
        return sorted(os.path.basename(path) for path in paths)  # noqa: PTH119 - the path of a URL

    def open(self, name: str) -> pa.NativeFile:
        """See :class:`Folder`."""
        handler = pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(self._filesystem))
        return handler.open_input_file(f"{self._path}/{name}")

    def publish(self, name: str, write: Write) -> None:
        """See :class:`Folder`. Stores that have no renaming copy it, which is as whole."""
        part = f"{self._path}/{_PART}{uuid.uuid4().hex[:12]}-{name}"
        with tempfile.TemporaryDirectory() as own:
            write(Path(own) / name)
            try:
                self._filesystem.put_file(str(Path(own) / name), part)
                self._filesystem.mv(part, f"{self._path}/{name}")
            except BaseException:
                with contextlib.suppress(OSError):
                    self._filesystem.rm_file(part)
                raise


@contextlib.contextmanager
def explained(place: str) -> Iterator[None]:
    """Say where it is that nothing can be written."""
    try:
        yield
    except (OSError, pa.ArrowException) as error:
        raise JobError(
            f"the output {place!r} cannot be written: {error}. Finished shards stay; when there is room and "
            f"permission, the same command goes on after them."
        ) from error


def _sync(path: Path) -> None:
    """Wait until a file, or the names in a folder, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
