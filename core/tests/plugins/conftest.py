"""Installed distributions that are not there: real metadata folders and modules, in folders put on ``sys.path``."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from FlagEmbedding.plugins import EmbedderConfig, hookimpl
from FlagEmbedding.plugins.manager import PluginManager
from FlagEmbedding.plugins.records import PluginRecord

HEADER = "from FlagEmbedding.plugins import EmbedderConfig, ModelClass, PoolingMethod, RerankerConfig, hookimpl\n"

EMBEDDERS = """
@hookimpl
def flagembedding_embedder_configs():
    return {{name: EmbedderConfig("acme.model:Embedder", "cls", hub_id=f"acme/{{name}}") for name in {names!r}}}
"""


class Site:
    """One folder of ``sys.path`` into which distributions can be put."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    def write(self, name: str, content: str | bytes) -> None:
        """Write one file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())

    def metadata(self, name: str, version: str = "1.0", entry_points: str | bytes = "") -> None:
        """Write what pip would write for a distribution."""
        info = f"{name.replace('-', '_')}-{version}.dist-info"
        self.write(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        self.write(f"{info}/entry_points.txt", entry_points)

    def plugin(self, name: str, source: str, *, entry_point: str | None = None, version: str = "1.0") -> str:
        """Put in a distribution with one plugin in one module; return the module's name.

        The module leaves a file ``MODULE.imported`` beside itself when it is imported.
        """
        module = name.lower().replace("-", "_") + "_hooks"
        self.metadata(name, version, f"[flagembedding]\n{entry_point or name} = {module}\n")
        mark = f"import pathlib\npathlib.Path(__file__).with_suffix('.imported').touch()\n{HEADER}"
        self.write(f"{module}.py", mark + source)
        return module

    def embedders(self, name: str, *models: str, **options: str) -> str:
        """Put in a distribution whose plugin registers these models."""
        return self.plugin(name, EMBEDDERS.format(names=models), **options)

    def imported(self) -> list[str]:
        """Return the plugin modules that were imported."""
        return sorted(path.stem for path in self.folder.glob("*.imported"))


def _holds_distributions(entry: str) -> bool:
    folder = Path(entry or ".")
    return folder.is_dir() and any(path.suffix in (".dist-info", ".egg-info") for path in folder.iterdir())


@pytest.fixture
def new_site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], Site]]:
    """Return a function that puts one more folder on ``sys.path``; what is really installed is out of sight."""
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if not _holds_distributions(entry)])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    sites: list[Site] = []

    def new() -> Site:
        sites.append(Site(tmp_path / f"site{len(sites)}"))
        sys.path.append(str(sites[-1].folder))
        return sites[-1]

    known = set(sys.modules)
    yield new
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", None)).startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.fixture
def site(new_site: Callable[[], Site]) -> Site:
    """Return an empty folder on ``sys.path``."""
    return new_site()


@pytest.fixture
def load(new_site: Callable[[], Site]) -> Callable[..., PluginManager]:
    """Return a function that makes a manager under these environment variables, with all plugins loaded."""

    def loaded(**environ: str) -> PluginManager:
        importlib.invalidate_caches()
        manager = PluginManager(environ)
        manager.load()
        return manager

    return loaded


@pytest.fixture
def load_one(load: Callable[..., PluginManager]) -> Callable[..., PluginRecord]:
    """Return a function that loads all plugins and returns the record of the only one."""

    def loaded(**environ: str) -> PluginRecord:
        (record,) = load(**environ).records()
        return record

    return loaded


@pytest.fixture
def models() -> Callable[[PluginManager], Mapping[str, list[str]]]:
    """Return a function that says which models a manager's plugins register, and who does, in order."""

    def claimed(manager: PluginManager) -> dict[str, list[str]]:
        claims = manager.claims("flagembedding_embedder_configs", lambda tables: tables.embedders)
        return {name: [claim.owner for claim in claims[name]] for name in claims}

    return claimed


class _InProcess:
    def __init__(self, names: tuple[str, ...]) -> None:
        self.names = names

    @hookimpl
    def flagembedding_embedder_configs(self) -> dict[str, EmbedderConfig]:
        return {name: EmbedderConfig("acme.model:Embedder", "cls") for name in self.names}


@pytest.fixture
def in_process() -> Callable[..., object]:
    """Return a function that makes a plugin of this process which registers these models."""
    return lambda *names: _InProcess(names)
