"""The manager of the process, in processes of its own: what is imported, and how often it is made."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

THREADS = """
import threading, time
from FlagEmbedding.plugins import manager

made = manager.PluginManager.__init__
def slowly(self, *arguments):
    time.sleep(0.2)
    made(self, *arguments)
manager.PluginManager.__init__ = slowly

barrier, found = threading.Barrier(8), []
def ask():
    barrier.wait()
    found.append(manager.plugin_manager())
threads = [threading.Thread(target=ask) for _ in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
print(len(set(map(id, found))))
"""


def run(program: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program]
    environ = {**os.environ, "FLAGEMBEDDING_PLUGINS": ""}
    done = subprocess.run(command, capture_output=True, text=True, env=environ, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_eight_threads_that_come_first_get_the_same_manager():
    assert run(THREADS) == "1\n"


def test_there_is_one_manager():
    assert run("from FlagEmbedding.plugins.manager import plugin_manager as p; print(p() is p())") == "True\n"


@pytest.mark.parametrize("module", ["torch", "transformers", "numpy"])
def test_loading_plugins_does_not_import(module):
    program = (
        "import sys; from FlagEmbedding.plugins.manager import plugin_manager as p; p().records();"
        f"print({module!r} in sys.modules)"
    )
    assert run(program) == "False\n"
