"""The kit's checks, run on a plugin of this process; and ``contract_fakes``, where workers can import it too."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import pytest

from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.testing import PluginContract
from FlagEmbedding.testing import contract as kit

sys.path.append(str(Path(__file__).parent))  # workers inherit it


class Checks:
    """Runs checks, for every model of a plugin that each has something to say of."""

    def __init__(self, folders):
        self.folders = folders
        self.registered = []

    def __call__(self, plugin, names, **overridden):
        """Return the message of each check that fails; ``overridden`` are methods of the author's."""
        if plugin is not None:
            self.register(plugin, "fake")
        test = type("Contract", (PluginContract,), {"plugin": "fake", **overridden})()
        messages = {name: self.message(test, name) for name in names}
        return {name: message for name, message in messages.items() if message}

    def register(self, plugin, name):
        plugin_manager().register(plugin, name)
        self.registered.append(name)

    def unregister(self):
        while self.registered:
            plugin_manager().unregister(self.registered.pop())

    def message(self, test, name):
        check = getattr(test, name)
        wanted = inspect.signature(check).parameters
        case = next((argument for argument in wanted if argument in kit._CASES), None)
        for entry in test._cases(case) if case else [None]:
            given = {case: entry, "bench": kit._bench(type(test), self.folders)}
            if "tmp_path" in wanted:
                given["tmp_path"] = self.folders.mktemp("damaged")
            try:
                check(**{argument: given[argument] for argument in wanted})
            except pytest.skip.Exception:
                continue
            except AssertionError as error:
                return str(error)
        return ""


@pytest.fixture
def breaches(tmp_path_factory):
    """``breaches(plugin, names of checks)`` gives the messages of those that fail on it."""
    checks = Checks(tmp_path_factory)
    yield checks
    checks.unregister()


@pytest.fixture
def assert_says():
    """A message says what the plugin does, what the contract wants, and where to look."""

    def check(message, pattern):
        assert re.search(f"(?s){pattern}", message), message
        assert re.search(r"\n  The contract: .+\n  Look at: .+", message), message

    return check
