from __future__ import annotations

import os
import signal
import threading

import pytest

from FlagEmbedding.engine.workers.interrupts import deferred_interrupt, hidden_from_children


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


def interrupted(done, error=None):
    with deferred_interrupt():
        interrupt()
        done.append("all of it")
        if error:
            raise error


def test_an_interruption_waits_for_the_end_of_the_block():
    done = []
    with pytest.raises(KeyboardInterrupt):
        interrupted(done)
    assert done == ["all of it"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_it_is_not_lost_when_the_block_raises():
    error = OSError()
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted([], error)
    assert caught.value.__context__ is error


def test_blocks_in_blocks():
    done = []

    def nested():
        with deferred_interrupt():
            interrupted(done)
            done.append("the outer one, too")

    with pytest.raises(KeyboardInterrupt):
        nested()
    assert done == ["all of it", "the outer one, too"]


def test_other_threads_have_no_handlers():
    done = []

    def work():
        with deferred_interrupt():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.default_int_handler]


def test_a_program_that_ignores_it():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupt():
            interrupt()
            assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_starts_in_the_block_has_the_signal_blocked():
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with hidden_from_children():
        assert signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before
