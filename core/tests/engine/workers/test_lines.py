"""What workers log comes out in the program's own handlers, at the levels that it wants."""

from __future__ import annotations

import functools
import logging
import threading

import pytest

from FlagEmbedding.engine.workers.pool import WorkerPool

NAME = "FlagEmbedding.engine.runner"
PART = [(logging.DEBUG, 1), (logging.INFO, "two"), (logging.WARNING, threading.Lock)]


def said(caplog, name=NAME):
    return [(record.levelname, record.getMessage()) for record in caplog.records if record.name == name]


WARNING = ("WARNING", f"argument {threading.Lock}")
INFO = ("INFO", "argument two")


def test_a_line_is_said_again_with_the_name_of_its_worker(pool, caplog):
    with caplog.at_level(logging.INFO, "FlagEmbedding"):
        pool("cpu").run("logs", [PART], {"name": NAME})
    assert said(caplog) == [INFO, WARNING]
    record = next(record for record in caplog.records if record.name == NAME)
    assert record.processName == "FlagEmbedding worker cpu"
    assert record.funcName == "logs"


def test_the_level_is_that_of_each_call(pool, caplog):
    cpus = pool("cpu")
    for level, expected in ((logging.NOTSET, [WARNING]), (logging.INFO, [INFO, WARNING]), (logging.ERROR, [])):
        caplog.clear()
        with caplog.at_level(level, "FlagEmbedding"):
            cpus.run("logs", [PART], {"name": NAME})
        assert said(caplog) == expected


def test_a_logger_that_is_off_in_the_program_stays_silent(pool, caplog):
    with caplog.at_level(logging.INFO, "FlagEmbedding"), caplog.at_level(logging.ERROR, NAME):
        pool("cpu").run("logs", [PART], {"name": NAME})
    assert said(caplog) == []


def test_other_libraries_are_heard_too(pool, caplog):
    pool("cpu").run("logs", [PART], {"name": "somebody.else"})
    assert said(caplog, "somebody.else") == [WARNING]


def test_what_came_before_a_failure_is_said(pool, caplog):
    with pytest.raises(ValueError, match="two"):
        pool("cpu").run("logs", [[(logging.WARNING, "two")]], {"name": NAME, "fails": True})
    assert said(caplog) == [("WARNING", "argument two")]


def test_what_is_logged_while_a_model_loads(standins, caplog):
    loading = functools.partial(logging.getLogger(NAME).warning, "loading")
    with WorkerPool(lambda device: standins.Standin(device, loading), ["cpu"]) as cpus:
        cpus.run("double", [[1]], {})
    assert said(caplog) == [("WARNING", "loading")]
