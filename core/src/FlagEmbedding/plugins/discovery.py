"""Finding plugins: which distributions name one, and which of those are wanted. Nothing is imported here."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from importlib_metadata import Distribution, EntryPoint

from FlagEmbedding.plugins.records import PluginRecord, Status

GROUP = "flagembedding"
ALLOW = "FLAGEMBEDDING_PLUGINS"
DISABLE = "FLAGEMBEDDING_DISABLE_PLUGINS"


@dataclass
class Candidate:
    """A plugin that an installed distribution names: its record so far, and the entry point to load it by."""

    record: PluginRecord
    entry_point: EntryPoint | None


def find_candidates(environ: Mapping[str, str]) -> list[Candidate]:
    """Return every plugin of the installed distributions, in order of name and distribution.

    Reads entry points once, from every folder of ``sys.path``. As with ``import``, the first of two copies of one
    distribution counts. Plugins that the environment switches off come back disabled, decided before any import.
    """
    found = [candidate for dist in _distributions() for candidate in _candidates_of(dist)]
    for candidate in found:
        _apply_filters(candidate.record, environ)
    return sorted(found, key=lambda candidate: (candidate.record.name, normalize(candidate.record.distribution)))


def second_owner() -> str | None:
    """Return the other installed distribution that owns the package ``FlagEmbedding`` (with version), if there is one.

    The distribution FlagEmbedding on PyPI installs a package of the same name: the two overwrite each other's files.
    """
    other = next(iter(Distribution.discover(name="FlagEmbedding")), None)
    return f"FlagEmbedding {_header(other, 'Version')}".strip() if other else None


def warn_of_second_owner() -> None:
    """Warn when a second distribution owns our package, which leaves a mixture of both on disk."""
    other = second_owner()
    if other is not None:
        warnings.warn(
            f"two installed distributions own the package 'FlagEmbedding': flagembedding-core and {other}; they "
            f"overwrite each other's files. Run: pip uninstall FlagEmbedding && "
            f"pip install --force-reinstall --no-deps flagembedding-core",
            RuntimeWarning,
            stacklevel=2,
        )


def normalize(name: str) -> str:
    """Return the PEP 503 form of a distribution's name."""
    return re.sub(r"[-_.]+", "-", name).lower()


def _distributions() -> Iterator[Distribution]:
    """Yield the distributions that may have something for us, and that no earlier folder of ``sys.path`` shadows.

    Looks for the group's name as plain text first: parsing the metadata of everything installed takes longer than all
    the rest of a listing.
    """
    seen: set[str] = set()
    for dist in Distribution.discover():
        if not _mentions_group(dist) or _is_shadowed(dist):
            continue
        name = normalize(_name_of(dist))
        if name not in seen:  # one folder can be twice on the path, or hold two versions after a broken upgrade
            seen.add(name)
            yield dist


def _mentions_group(dist: Distribution) -> bool:
    try:
        return GROUP in (dist.read_text("entry_points.txt") or "")
    except Exception:  # noqa: BLE001 - unreadable: looked at again, and recorded, where its entry points are read
        return True


def _is_shadowed(dist: Distribution) -> bool:
    name = _header(dist, "Name")  # without one nothing can shadow it
    first = next(iter(Distribution.discover(name=name)), dist) if name else dist
    return bool(first.locate_file("") != dist.locate_file(""))


def _header(dist: Distribution, field: str) -> str:
    """Return a field of the distribution's metadata, or an empty string where it cannot be read.

    Read as text: the parser that importlib_metadata would import for it takes as long as all the rest of a listing.
    """
    try:
        text = dist.read_text("METADATA") or dist.read_text("PKG-INFO") or ""
    except (OSError, UnicodeError):
        return ""
    match = re.search(rf"(?m)^{field}: *(\S+)", text.partition("\n\n")[0])
    return match[1] if match else ""


def _name_of(dist: Distribution) -> str:
    """Return the distribution's name, or the folder of its metadata when that has none (a broken installation)."""
    return _header(dist, "Name") or str(getattr(dist, "_path", "unnamed distribution"))


def _candidates_of(dist: Distribution) -> Iterator[Candidate]:
    try:
        entry_points: Iterable[EntryPoint] = dist.entry_points.select(group=GROUP)
    except Exception as error:  # noqa: BLE001 - one damaged file must not hide the plugins of all others
        yield _damaged(dist, error)
        return
    for entry_point in entry_points:
        yield Candidate(PluginRecord(entry_point.name, _name_of(dist), _header(dist, "Version")), entry_point)


def _damaged(dist: Distribution, error: Exception) -> Candidate:
    reason = f"its entry_points.txt cannot be read: {type(error).__name__}: {error}"
    name = _name_of(dist)
    return Candidate(PluginRecord(name, name, _header(dist, "Version"), Status.FAILED, reason, error), None)


def _apply_filters(record: PluginRecord, environ: Mapping[str, str]) -> None:
    names = {normalize(record.name), normalize(record.distribution)}
    allowed, disabled = environ.get(ALLOW), _listed(environ.get(DISABLE, ""))
    if names & disabled:
        record.status, record.reason, record.error = Status.DISABLED, f"named in {DISABLE}", None
    elif allowed is not None and not names & _listed(allowed):
        record.status, record.reason, record.error = Status.DISABLED, f"not named in {ALLOW}", None


def _listed(value: str) -> set[str]:
    return {normalize(item) for item in re.split(r"[,\s]+", value) if item}
