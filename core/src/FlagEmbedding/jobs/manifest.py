"""What a job was begun with, beside its output; to go on, everything must still be so."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from FlagEmbedding.errors import JobChangedError, JobError
from FlagEmbedding.jobs.folder import Folder, explained

NAME = "manifest.json"

_FORMAT = 1
_SHOWN = 4  # differences of a kind that a message names
_LONG = 60  # characters of a value


@dataclass(frozen=True)
class Manifest:
    """A job, as plain data.

    Attributes:
        model: The fingerprint of the model; see :meth:`FlagEmbedding.jobs.model.JobModel.fingerprint`.
        settings: Those that decide which rows there are and what is in them.
        input: What each file was known by, in order.
        columns: The columns of the output and their types.
        about: What is good to know and may differ: who wrote it, the model's name.
        format: Of this file.
    """

    model: Mapping[str, Any]
    settings: Mapping[str, Any]
    input: list[Mapping[str, Any]]
    columns: Mapping[str, str]
    about: Mapping[str, Any]
    format: int = _FORMAT

    @property
    def identity(self) -> str:
        """The job in 16 hexadecimal digits, which every shard carries."""
        kept = {name: value for name, value in asdict(self).items() if name != "about"}
        return hashlib.sha256(json.dumps(kept, sort_keys=True).encode()).hexdigest()[:16]


def agree(folder: Folder, manifest: Manifest) -> None:
    """Begin the job in ``folder``, or find that it is the one that was begun there.

    Raises:
        JobChangedError: It is another one; the message says in what.
        JobError: The folder holds other things, or cannot be written.
    """
    names = [name for name in folder.names() if not name.startswith(".")]
    if NAME in names:
        _compare(folder.place, _read(folder), manifest)
    elif names:
        raise JobError(
            f"{folder.place!r} is no output of a job: it has no {NAME}, and {names[0]!r} is there. Name an empty "
            f"folder, or one that is yet to be made."
        )
    else:
        text = json.dumps({"identity": manifest.identity, **asdict(manifest)}, indent=1, ensure_ascii=False) + "\n"
        with explained(folder.place):
            folder.publish(NAME, lambda path: path.write_text(text, encoding="utf-8"))


def _read(folder: Folder) -> Manifest:
    try:
        with folder.open(NAME) as file:
            known = json.loads(file.read())
        known.pop("identity")
        return Manifest(**known)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise JobError(f"{NAME} in {folder.place!r} cannot be read ({error}). Name another output.") from error


def _compare(place: str, old: Manifest, new: Manifest) -> None:
    changes = [*_changes(old, new)]
    if changes:
        raise JobChangedError(
            f"the job in {place!r} was begun with something else, so its finished shards would not fit:\n"
            + "".join(f"  {change}\n" for change in changes)
            + "Put that back to go on with it, or name another output to begin anew."
        )


def _changes(old: Manifest, new: Manifest) -> Iterator[str]:
    if old.format != new.format:
        yield f"it has format {old.format}, and this version writes {new.format}"
    yield from _differences("model", _flat(old.model), _flat(new.model))
    yield from _differences("setting", old.settings, new.settings)
    yield from _differences("input", _files(old.input), _files(new.input))
    if [file["path"] for file in old.input] != [file["path"] for file in new.input]:
        yield "input: the files, or their order, are others"
    yield from _differences("column", old.columns, new.columns)


def _differences(kind: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    changed = [name for name in [*old, *(name for name in new if name not in old)] if old.get(name) != new.get(name)]
    for name in changed[:_SHOWN]:
        yield f"{kind} {name}: {_said(old, name)} then, {_said(new, name)} now"
    if len(changed) > _SHOWN:
        yield f"{kind}: {len(changed) - _SHOWN} more"


def _said(values: Mapping[str, Any], name: str) -> str:
    said = json.dumps(values[name], ensure_ascii=False) if name in values else "not there"
    return said if len(said) <= _LONG else said[:_LONG] + "..."


def _flat(model: Mapping[str, Any]) -> dict[str, Any]:
    parts = {key: value for key, value in model.items() if not isinstance(value, Mapping)}
    for key in ("settings", "files"):
        parts |= {f"{key[:-1]} {name}": value for name, value in model.get(key, {}).items()}
    return parts


def _files(files: list[Mapping[str, Any]]) -> dict[str, Any]:
    return {str(file["path"]): {name: value for name, value in file.items() if name != "path"} for file in files}
