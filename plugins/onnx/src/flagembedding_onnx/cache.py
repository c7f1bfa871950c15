"""Where exports are kept: a folder each, written under another name and renamed when it is whole."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from FlagEmbedding.engine.fingerprint import digest
from flagembedding_onnx.errors import DamagedEntryError, ExportError

ENVIRONMENT = "FLAGEMBEDDING_ONNX_CACHE"

_ABOUT = "about.json"
_PART = ".part-"
_ABANDONED_S = 24 * 3600.0  # an export that is older than this was killed


@dataclasses.dataclass(frozen=True)
class About:
    """What is known of an export.

    Attributes:
        source: What the model was called by whoever exported it first.
        rows: How many token ids the model has a row for.
        limit: How many tokens it has positions for; None: nothing limits it.
        apart: How far its probe's vectors were from the model's own.
        files: The other files of the folder, and the SHA-256 of each.
    """

    source: str
    rows: int
    limit: int | None
    apart: float
    files: dict[str, str] = dataclasses.field(default_factory=dict)


def cache_folder() -> Path:
    """Return ``$FLAGEMBEDDING_ONNX_CACHE``, or ``flagembedding/onnx`` in the user's cache folder."""
    own = os.environ.get(ENVIRONMENT)
    if own:
        return Path(own).expanduser()
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "flagembedding" / "onnx"


def write_about(folder: Path, about: About) -> None:
    """Complete an entry: say what it is, and what its files are."""
    files = {path.name: digest(path) for path in sorted(folder.iterdir())}
    text = json.dumps(dataclasses.asdict(dataclasses.replace(about, files=files)), indent=1)
    (folder / _ABOUT).write_text(text + "\n", encoding="utf-8")


def read_about(place: Path) -> About:
    """Return what is known of an entry whose files are what was written.

    Raises:
        DamagedEntryError: They are not.
    """
    try:
        about = About(**json.loads((place / _ABOUT).read_text(encoding="utf-8")))
        changed = [name for name, known in about.files.items() if digest(place / name) != known]
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise DamagedEntryError(f"{str(place)!r} cannot be read ({type(error).__name__}: {error}).") from error
    if changed:
        raise DamagedEntryError(f"{', '.join(changed)} in {str(place)!r} is not what was written.")
    return about


@contextlib.contextmanager
def new_entry(place: Path) -> Iterator[Path]:
    """Yield an empty folder that becomes ``place`` when the block is done, unless another process was first.

    Raises:
        ExportError: It cannot be written: no space, no permission.
    """
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        _sweep(place.parent)
        with tempfile.TemporaryDirectory(prefix=_PART, dir=place.parent, ignore_cleanup_errors=True) as part:
            whole = Path(part) / "entry"
            whole.mkdir()
            yield whole
            _move(whole, place)
    except OSError as error:
        raise ExportError(
            f"the ONNX export cannot be written to {str(place.parent)!r} ({error}). Make room there, or name another "
            f"folder in {ENVIRONMENT}."
        ) from error


def discard(place: Path) -> None:
    """Remove an entry: first from where it is looked for, so that nobody finds half of it."""
    with contextlib.suppress(FileNotFoundError):  # another process was first
        aside = Path(tempfile.mkdtemp(prefix=_PART, dir=place.parent))
        place.rename(aside / "entry")
        shutil.rmtree(aside, ignore_errors=True)


def _move(whole: Path, place: Path) -> None:
    try:
        whole.rename(place)
    except OSError:
        if not place.is_dir():
            raise
        # Another process exported the same at the same time: one is as good as the other.


def _sweep(folder: Path) -> None:
    """Remove what was left by exports that were killed."""
    for part in folder.glob(f"{_PART}*"):
        with contextlib.suppress(FileNotFoundError):  # another process sweeps too
            if time.time() - part.stat().st_mtime > _ABANDONED_S:
                shutil.rmtree(part, ignore_errors=True)
