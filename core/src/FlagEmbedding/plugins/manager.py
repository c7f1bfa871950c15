"""Loading plugins: each on its own, with a record of what became of it.

pluggy checks the hooks and orders the calls. Its own loader for entry points is not used: there one failing import
ends the whole load, and a second distribution with the same entry-point name is dropped in silence.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import pluggy

from FlagEmbedding.claims import THIS_PROCESS, Claim, Claims
from FlagEmbedding.errors import PluginError
from FlagEmbedding.plugins import builtin, hookspecs
from FlagEmbedding.plugins.contract import check_hooks, collect
from FlagEmbedding.plugins.discovery import DISABLE, Candidate, find_candidates, warn_of_second_owner
from FlagEmbedding.plugins.records import Contribution, PluginRecord, Status
from FlagEmbedding.sources import is_folder

STRICT = "FLAGEMBEDDING_STRICT_PLUGINS"

logger = logging.getLogger(__name__)

T = TypeVar("T")


class PluginManager:
    """The plugins of one process, found and loaded at the first question."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        self._environ = environ
        self._lock = threading.RLock()
        self._loaded = self._loading = False
        self._reset()

    def _reset(self) -> None:
        self._pluggy = pluggy.PluginManager(hookspecs.PROJECT)
        self._pluggy.add_hookspecs(hookspecs)
        self._records: dict[str, PluginRecord] = {}

    def records(self) -> list[PluginRecord]:
        """Return every plugin that was found, in order of name: active, disabled and failed ones.

        The core's own contributions are not listed: they are no plugin that could be switched off.
        """
        self.load()
        return [record for key, record in self._records.items() if key != builtin.NAME]

    def load(self) -> None:
        """Find and load all plugins; does nothing when that is done.

        Raises:
            PluginError: A plugin failed and the strict switch (``FLAGEMBEDDING_STRICT_PLUGINS=1``) is on.
        """
        with self._lock:
            if self._loading:
                raise PluginError("plugins are being loaded; a plugin cannot ask for plugins while it is loaded itself")
            if not self._loaded:
                self._loading = True
                try:
                    self._reset()  # a load that was interrupted leaves nothing behind
                    warn_of_second_owner()
                    self._load_all(find_candidates(self._environ))
                finally:
                    self._loading = False
                self._loaded = True
        if self._environ.get(STRICT, "") not in ("", "0"):
            self._raise_first_failure()

    def register(self, plugin: object, name: str) -> PluginRecord:
        """Register an object of this process as a plugin, as an installed one would be.

        Raises:
            PluginError: It breaks the contract, or ``name`` is taken.
        """
        self.load()
        with self._lock:
            if name in self._records:
                raise PluginError(f"a plugin named {name!r} is registered already ({self._records[name].owner}).")
            record = PluginRecord(name, THIS_PROCESS, "")
            self._take(record, name, lambda: plugin)
            if record.error is not None:
                del self._records[name]
                raise PluginError(f"the plugin {name!r} was refused: {record.reason}") from record.error
        return record

    def unregister(self, name: str) -> None:
        """Take back what :meth:`register` did.

        Raises:
            PluginError: No plugin of that name was registered.
        """
        with self._lock:
            if name not in self._records or self._records[name].distribution != THIS_PROCESS:
                raise PluginError(f"no plugin named {name!r} was registered in this process.")
            self._pluggy.unregister(name=name)
            del self._records[name]

    def claims(self, hook: str, table: Callable[[Contribution], Mapping[str, T]]) -> Claims[T]:
        """Return what the active plugins contribute to one table, in pluggy's order of calling ``hook``."""
        claims: dict[str, list[Claim[T]]] = {}
        for record, _ in self._implementers(hook):
            for name, value in table(record.contribution).items():
                claims.setdefault(name, []).append(Claim(value, record.owner))
        return claims

    def locate(self, model_name: str) -> str | None:
        """Ask each plugin for a local folder with ``model_name``; return the first answer.

        Raises:
            PluginError: A plugin's locator raised, or named a folder that is not there. Weights from elsewhere would
                be a guess, so the load ends here.
        """
        for record, implementation in self._implementers("flagembedding_locate_model"):
            folder = _ask(record, implementation, model_name)
            if folder is not None:
                return folder
        return None

    def _implementers(self, hook: str) -> list[tuple[PluginRecord, pluggy.HookImpl]]:
        """Return the plugins that implement ``hook``, first called first."""
        self.load()
        implementations = reversed(getattr(self._pluggy.hook, hook).get_hookimpls())
        return [(self._records[implementation.plugin_name], implementation) for implementation in implementations]

    def _load_all(self, candidates: list[Candidate]) -> None:
        self._take(PluginRecord(builtin.NAME, builtin.OWNER, ""), builtin.NAME, lambda: builtin)
        self._records.update((_key_of(candidate.record), candidate.record) for candidate in candidates)
        # pluggy calls the last registered plugin first; registered backwards, they are called in order of name.
        for candidate in reversed(candidates):
            if candidate.record.error is not None:
                _log_failure(candidate.record)
            if candidate.record.status is Status.ACTIVE and candidate.entry_point is not None:
                self._take(candidate.record, _key_of(candidate.record), candidate.entry_point.load)

    def _take(self, record: PluginRecord, key: str, load: Callable[[], object]) -> None:
        """Import, check and register one plugin; whatever goes wrong is kept in its record."""
        self._records[key] = record
        try:
            plugin = load()
            check_hooks(self._pluggy, plugin)
            self._pluggy.register(plugin, name=key)
            record.contribution = collect(self._functions(plugin))
        except (Exception, SystemExit) as error:  # noqa: BLE001 - any code may run in a plugin's import, and none of it may end ours
            self._fail(record, key, error)

    def _functions(self, plugin: object) -> dict[str, Callable[[], object]]:
        callers = self._pluggy.get_hookcallers(plugin) or []
        return {
            caller.name: impl.function for caller in callers for impl in caller.get_hookimpls() if impl.plugin is plugin
        }

    def _fail(self, record: PluginRecord, key: str, error: BaseException) -> None:
        record.status, record.error = Status.FAILED, error
        record.reason = f"{type(error).__name__}: {error}".splitlines()[0]
        if self._pluggy.has_plugin(key):
            self._pluggy.unregister(name=key)
        _log_failure(record)

    def _raise_first_failure(self) -> None:
        for record in self._records.values():
            if record.status is Status.FAILED:
                raise PluginError(f"plugin {record.name!r} ({record.owner}) failed: {record.reason}") from record.error


def _ask(record: PluginRecord, implementation: pluggy.HookImpl, model_name: str) -> str | None:
    arguments = {"model_name": model_name}
    who = f"the plugin {record.name!r} ({record.owner})"
    hint = f"Switch it off with {DISABLE}={record.name} to load the model from elsewhere."
    try:
        answer: Any = implementation.function(*[arguments[name] for name in implementation.argnames])
        folder: str | None = None if answer is None else os.fspath(answer)
    except Exception as error:
        raise PluginError(f"{who} failed to locate {model_name!r}: {error} {hint}") from error
    if folder is not None and not is_folder(folder):
        raise PluginError(f"{who} located {model_name!r} in {folder!r}, which is no folder. {hint}")
    return folder


def _log_failure(record: PluginRecord) -> None:
    logger.warning("plugin %r (%s) failed: %s", record.name, record.owner, record.reason)


def _key_of(record: PluginRecord) -> str:
    return f"{record.name} ({record.distribution})"


_PROCESS = PluginManager()  # made at import, which threads do one after the other; it loads nothing yet


def plugin_manager() -> PluginManager:
    """Return the plugin manager of this process."""
    return _PROCESS
