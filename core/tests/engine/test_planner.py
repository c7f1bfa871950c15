from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from FlagEmbedding.engine.planner import ACCELERATOR_TOKENS, CPU_TOKENS, Budget, Plan

lengths_of_texts = st.lists(st.integers(1, 300), max_size=120)
budgets = st.builds(Budget, texts=st.integers(1, 40), tokens=st.integers(1, 3000))


def padded(batch, lengths):
    return len(batch) * max(lengths[index] for index in batch)


@given(lengths_of_texts, budgets)
def test_each_text_is_in_one_batch(lengths, budget):
    assert sorted(itertools.chain(*Plan(lengths, budget))) == list(range(len(lengths)))


@given(lengths_of_texts, budgets)
def test_no_batch_is_above_the_budget(lengths, budget):
    batches = list(Plan(lengths, budget))
    assert [batch for batch in batches if len(batch) > budget.texts] == []
    assert [batch for batch in batches if len(batch) > 1 and padded(batch, lengths) > budget.tokens] == []


@given(lengths_of_texts, budgets)
def test_no_batch_is_smaller_than_it_must_be(lengths, budget):
    for batch, following in itertools.pairwise(Plan(lengths, budget)):
        larger = [*batch, following[0]]
        assert len(larger) > budget.texts or padded(larger, lengths) > budget.tokens


@given(lengths_of_texts, budgets)
def test_the_longest_come_first_and_equals_keep_their_order(lengths, budget):
    order = list(itertools.chain(*Plan(lengths, budget)))
    assert order == sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))


def test_nothing_to_plan():
    assert list(Plan([], Budget(8, 100))) == []


@pytest.mark.parametrize(
    ("lengths", "budget", "batches"),
    [
        ([3, 9, 1, 9], Budget(2, 100), [[1, 3], [0, 2]]),
        ([3, 9, 1, 9], Budget(10, 18), [[1, 3], [0, 2]]),  # 2 x 9 fill the budget to the brim
        ([3, 9, 1, 9], Budget(10, 17), [[1], [3], [0, 2]]),
        ([50, 2, 2], Budget(10, 8), [[0], [1, 2]]),  # above the budget by itself: alone
        ([5], Budget(1, 1), [[0]]),
    ],
)
def test_plans_by_hand(lengths, budget, batches):
    assert list(Plan(lengths, budget)) == batches


def test_an_accelerator_takes_more_at_once():
    assert (CPU_TOKENS, ACCELERATOR_TOKENS) == (2048, 16384)


@given(lengths_of_texts.filter(bool), budgets, st.data())
def test_what_did_not_fit_comes_again_in_halves(lengths, budget, data):
    plan = Plan(lengths, budget)
    done, sizes = [], []
    for batch in plan:
        if len(batch) > 1 and data.draw(st.booleans()):
            tokens = padded(batch, lengths)
            plan.halve(batch)
            assert plan.budget == Budget(len(batch) // 2, tokens // 2)
            sizes.append(len(batch))
        else:
            done += batch
    assert done == sorted(range(len(lengths)), key=lambda index: (-lengths[index], index))
    assert sizes == sorted(sizes, reverse=True)
