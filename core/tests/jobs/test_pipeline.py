"""Threads between the stages: order, bounds, and what is met in one of them is raised where it is wanted."""

from __future__ import annotations

import threading
import time

import pytest

pytest.importorskip("pyarrow", reason="needs flagembedding-core[jobs]")

from FlagEmbedding.jobs.pipeline import Behind, ahead, mapped


def numbers(count, taken, error=None):
    try:
        for number in range(count):
            taken.append(number)
            yield number
        if error:
            raise error
    finally:
        taken.append("closed")


def wait_until(condition):
    for _ in range(500):
        if condition():
            return
        time.sleep(0.01)
    raise AssertionError


def test_ahead_reads_no_further_than_there_is_room():
    taken = []
    items = ahead(numbers(100, taken), 2)
    assert next(items) == 0
    wait_until(lambda: len(taken) == 4)  # one given, two wait, one waits for room
    time.sleep(0.15)
    assert taken == [0, 1, 2, 3]
    items.close()
    assert taken == [0, 1, 2, 3, "closed"]


def test_ahead_gives_everything_in_order_and_ends():
    taken = []
    assert [*ahead(numbers(50, taken), 3)] == [*range(50)]
    assert taken[-1] == "closed"


def test_what_is_met_while_reading_is_raised_after_what_came_before():
    found = []
    items = ahead(numbers(3, [], OSError("the disk is gone")), 2)
    with pytest.raises(OSError, match="the disk is gone"):
        found.extend(map(found.append, items))
    assert [number for number in found if number is not None] == [0, 1, 2]


def test_behind_consumes_everything_before_it_ends():
    seen = []

    def consume(items):
        for item in items:
            time.sleep(0.002)
            seen.append(item)

    with Behind(consume, 2) as behind:
        for number in range(20):
            behind.put(number)
    assert seen == [*range(20)]


def test_what_the_consumer_meets_is_raised_where_things_are_put():
    def consume(items):
        next(items)
        raise OSError("no space left")

    behind = Behind(consume, 1)
    with pytest.raises(OSError, match="no space left"), behind:  # noqa: PT012 - which of them raises is no matter
        for number in range(10):
            behind.put(number)


def test_what_the_consumer_meets_at_its_end_is_raised_too():
    def consume(items):
        list(items)
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"), Behind(consume, 5) as behind:
        behind.put(1)


def test_an_interrupt_reaches_the_consumer_and_drops_what_waits():
    seen, undone = [], []

    def consume(items):
        try:
            for item in items:
                seen.append(item)
                time.sleep(0.1)
        except Exception:
            undone.append(True)
            raise

    with pytest.raises(KeyboardInterrupt), Behind(consume, 3) as behind:  # noqa: PT012 - it is the block that raises
        for number in range(4):
            behind.put(number)
        raise KeyboardInterrupt
    assert (undone, len(seen) < 4) == ([True], True)


def test_after_an_error_what_was_put_before_is_consumed_and_then_undone():
    seen = []

    def consume(items):
        try:
            for item in items:
                time.sleep(0.02)
                seen.append(item)
        except Exception:
            seen.append("undone")
            raise

    with pytest.raises(ValueError, match="bad row"), Behind(consume, 2) as behind:  # noqa: PT012 - likewise
        for number in range(4):
            behind.put(number)
        raise ValueError("bad row")
    assert seen == [0, 1, 2, 3, "undone"]


@pytest.mark.parametrize("at_once", [1, 3])
def test_mapped_keeps_the_order(at_once):
    def work(number):
        time.sleep(0.01 if number % 2 else 0)
        return number * number

    assert [*mapped(work, iter(range(12)), at_once)] == [number * number for number in range(12)]


def test_mapped_has_so_many_under_way_and_no_more():
    under_way, most = [0], [0]
    lock = threading.Lock()

    def work(number):
        with lock:
            under_way[0] += 1
            most[0] = max(most[0], under_way[0])
        time.sleep(0.01)
        with lock:
            under_way[0] -= 1
        return number

    assert len([*mapped(work, range(12), 2)]) == 12
    assert most[0] == 2


@pytest.mark.parametrize("at_once", [1, 2])
def test_what_is_met_at_work_is_raised(at_once):
    def work(number):
        if number == 3:
            raise ValueError("three")
        return number

    with pytest.raises(ValueError, match="three"):
        list(mapped(work, range(10), at_once))
