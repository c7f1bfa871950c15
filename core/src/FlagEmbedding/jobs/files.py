"""Which files a job reads: found through fsspec, known again by size and time, or by content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import fsspec
import pyarrow.fs

from FlagEmbedding.errors import InputError, JobError
from FlagEmbedding.jobs.settings import FORMATS

_SUFFIXES = {
    ".parquet": "parquet",
    ".pq": "parquet",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".txt": "text",
}
_COMPRESSIONS = {".gz": "gzip", ".bz2": "bz2", ".zst": "zstd", ".lz4": "lz4"}

# What stores say of a file that changes with it, the surest first: tags of its content, then times.
_STAMPS = ("ETag", "etag", "md5Hash", "content_md5", "mtime", "LastModified", "last_modified", "updated", "created")


@dataclass(frozen=True)
class InputFile:
    """A file, as it was when the job looked for its input.

    Attributes:
        path: A local path, or a URL.
        format: One of :data:`~FlagEmbedding.jobs.settings.FORMATS`.
        size: In bytes.
        stamp: What changes when the file is written: the time of a local file, the tag that a store gives.
        digest: SHA-256 of its content, where it was asked for.
    """

    path: str
    format: str
    size: int
    stamp: str
    digest: str | None = None

    @property
    def compression(self) -> str | None:
        """As pyarrow spells it; None where there is none."""
        return None if self.format == "parquet" else _COMPRESSIONS.get(PurePosixPath(self.path).suffix)

    def open(self) -> pyarrow.NativeFile:
        """Return the file, to be read at any place.

        Raises:
            OSError: It cannot be opened.
        """
        filesystem, path = _located(self.path)
        return _arrow_filesystem(filesystem).open_input_file(path)

    def identity(self) -> dict[str, Any]:
        """Return what must be the same when a job goes on."""
        known = asdict(self)
        known.pop("format")
        known.pop("stamp" if self.digest else "digest")
        return known

    def check_unchanged(self) -> None:
        """Raise :class:`JobError` if the file is not as it was any more."""
        try:
            now = _stat(*_located(self.path))
        except OSError as error:
            raise JobError(f"{self.path} cannot be looked at any more: {error}. Finished shards stay.") from error
        if now != (self.size, self.stamp):
            raise JobError(
                f"{self.path} was changed while the job read it (from {self.size} bytes, {self.stamp}, to {now[0]} "
                f"bytes, {now[1]}). Finished shards are of the former content, so give the new one another output."
            )


def find_files(inputs: Iterable[str], kind: str | None, *, hashed: bool = False) -> list[InputFile]:
    """Return the files that ``inputs`` name, in order.

    Args:
        inputs: Files, folders (the files below with a suffix that is known) and globs; paths or URLs.
        kind: The format of all; None: by the suffix, before that of a compression.
        hashed: Whether to read them for their digests.

    Raises:
        InputError: One leads nowhere, has a format that is not known, or is named twice.
    """
    found: dict[str, InputFile] = {}
    for given in inputs:
        for path, filesystem, own in _expanded(given, kind):
            if path in found:
                raise InputError(f"{path} is named twice by the inputs: its rows would be embedded twice.")
            size, stamp = _stat(filesystem, own)
            content = _digest(filesystem, own) if hashed else None
            found[path] = InputFile(path, kind or _format(path), size, stamp, content)
    return list(found.values())


def _expanded(given: str, kind: str | None) -> Iterator[tuple[str, Any, str]]:
    """Yield the name, the filesystem, and the path there of each file."""
    try:
        filesystem, own = _located(given)
        paths = _matching(filesystem, own, kind)
    except (OSError, ValueError, ImportError) as error:
        raise InputError(f"the input {given!r} cannot be looked at: {error}") from error
    if not paths:
        raise InputError(f"the input {given!r} names no file: there is none, or none with a suffix of a known format.")
    for path in paths:
        yield (path if _is_local(filesystem) else filesystem.unstrip_protocol(path)), filesystem, path


def _matching(filesystem: Any, path: str, kind: str | None) -> list[str]:
    if filesystem.isfile(path):
        return [path]
    if filesystem.isdir(path):
        return [file for file in sorted(filesystem.find(path)) if _is_input(path, file, kind)]
    return sorted(file for file in filesystem.glob(path) if filesystem.isfile(file))


def _is_input(folder: str, path: str, kind: str | None) -> bool:
    """Say whether a file of a folder is meant: neither hidden nor a note of the program that wrote the folder."""
    parts = PurePosixPath(path[len(folder) :]).parts
    return not any(part.startswith((".", "_")) for part in parts) and (kind is not None or _suffix(path) in _SUFFIXES)


def _suffix(path: str) -> str:
    bare = PurePosixPath(path)
    return PurePosixPath(bare.stem if bare.suffix in _COMPRESSIONS else bare.name).suffix.lower()


def _format(path: str) -> str:
    try:
        return _SUFFIXES[_suffix(path)]
    except KeyError as error:
        raise InputError(
            f"the format of {path} is not known by its name. Say which it is (format): {', '.join(FORMATS)}."
        ) from error


def _located(path: str) -> tuple[Any, str]:
    filesystem, own = fsspec.core.url_to_fs(path)
    return filesystem, str(own)


def _is_local(filesystem: Any) -> bool:
    return "file" in ((filesystem.protocol,) if isinstance(filesystem.protocol, str) else filesystem.protocol)


def _arrow_filesystem(filesystem: Any) -> pyarrow.fs.FileSystem:
    if _is_local(filesystem):
        return pyarrow.fs.LocalFileSystem()
    return pyarrow.fs.PyFileSystem(pyarrow.fs.FSSpecHandler(filesystem))


def _stat(filesystem: Any, path: str) -> tuple[int, str]:
    if _is_local(filesystem):
        known = Path(path).stat()
        return known.st_size, f"mtime_ns={known.st_mtime_ns}"
    filesystem.invalidate_cache(os.path.dirname(path))  # noqa: PTH120 - the path of a URL
    info = filesystem.info(path)
    stamp = next((f"{name}={info[name]}" for name in _STAMPS if info.get(name)), "no stamp")
    return int(info["size"]), stamp


def _digest(filesystem: Any, path: str) -> str:
    with filesystem.open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
