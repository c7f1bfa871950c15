from __future__ import annotations

import multiprocessing
import sys

import pytest
from tqdm import tqdm

from FlagEmbedding.engine.progress import NoBar, progress_bar


def run(show):
    with progress_bar(3, show) as bar:
        bar.update(3)


def test_a_bar_that_is_wanted_is_on_stderr(capfd):
    run(show=True)
    out, err = capfd.readouterr()
    assert out == ""
    assert "encoding: 100%" in err
    assert "3/3" in err


def test_it_says_what_is_done_to_what(capfd):
    with progress_bar(3, True, "scoring", "pairs") as bar:
        bar.update(3)
    err = capfd.readouterr().err
    assert "scoring: 100%" in err
    assert "pairs/s" in err


def test_what_was_done_before_counts_as_done(capfd):
    with progress_bar(10, True, initial=6) as bar:
        bar.update(1)
    assert "7/10" in capfd.readouterr().err


@pytest.mark.parametrize("show", [False, None])
def test_no_bar_when_unwanted_and_none_by_itself_off_a_terminal(capfd, show):
    run(show)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("show", "delay"), [(None, 2.0), (True, 0)])
def test_on_a_terminal_a_bar_appears_by_itself_for_long_work_only(monkeypatch, show, delay):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress_bar(3, show) as bar:
        assert (type(bar), bar.delay) == (tqdm, delay)
    assert isinstance(progress_bar(3, show=False), NoBar)


def test_a_worker_has_no_bar_of_its_own(monkeypatch):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(multiprocessing, "parent_process", multiprocessing.current_process)
    assert isinstance(progress_bar(3, None), NoBar)


@pytest.mark.parametrize("show", [None, False])
def test_a_program_without_stderr(monkeypatch, show):
    """Windows services and ``pythonw`` have ``sys.stderr = None``."""
    monkeypatch.setattr(sys, "stderr", None)
    run(show)
