"""The checks that ask a fresh process, or a plugin that failed."""

from __future__ import annotations

import pytest

from FlagEmbedding.plugins.records import PluginRecord, Status
from FlagEmbedding.testing import registration

HOOKS = """
from FlagEmbedding.plugins import hookimpl

@hookimpl
def flagembedding_pooling_functions():
    return {}
"""


@pytest.fixture
def install(tmp_path, monkeypatch):
    """Put a distribution with these hooks on the path; its plugin is called ``heavy``."""

    def write(source):
        info = tmp_path / "heavy-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text("Metadata-Version: 2.1\nName: heavy\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text("[flagembedding]\nheavy = heavy_hooks\n")
        (tmp_path / "heavy_hooks.py").write_text(source)
        monkeypatch.syspath_prepend(tmp_path)

    return write


@pytest.mark.parametrize("heavy", ["torch", "transformers"])
def test_hooks_that_import_torch(heavy, install, assert_says):
    install(f"import {heavy}\n{HOOKS}")
    with pytest.raises(AssertionError) as caught:
        registration.check_light_in_fresh_process("heavy")
    assert_says(str(caught.value), f"importing the hooks of 'heavy' and calling them imports {heavy}")


def test_light_hooks(install):
    install(HOOKS)
    registration.check_light_in_fresh_process("heavy")
    with pytest.raises(AssertionError, match="finds no plugin 'another'"):
        registration.check_light_in_fresh_process("another")


def test_a_failed_plugin(monkeypatch, assert_says):
    failed = PluginRecord("fake", "flagembedding-fake", "1.0", Status.FAILED, "ImportError: no module")
    monkeypatch.setattr(registration, "record_of", lambda plugin: failed)
    with pytest.raises(AssertionError) as caught:
        registration.check_active("fake")
    assert_says(str(caught.value), "the plugin 'fake' is failed: ImportError: no module")
