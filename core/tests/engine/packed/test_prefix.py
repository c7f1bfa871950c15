"""Shared beginnings: what goes on from them is what a text read alone gives, and they are computed once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from FlagEmbedding.engine.packed.loading import pack
from FlagEmbedding.engine.packed.prefix import Prefixes, shared

DECODERS = ("mistral", "llama", "qwen2", "qwen3", "gemma", "gemma2")
PREFIX = list(range(10, 30))
WINDOWED = [
    ("mistral", {"sliding_window": 12}),
    ("mistral", {"sliding_window": 25}),
    ("gemma2", {"sliding_window": 12}),
    ("gemma2", {"attn_logit_softcapping": 0.5}),
    ("qwen2", {"sliding_window": 12, "layer_types": ["sliding_attention", "full_attention"]}),
]


@pytest.fixture
def lasts(alone):
    """What plain transformers gives for the last token of each text."""
    return lambda model, rows: torch.stack([states[-1] for states in alone(model, rows)])


@pytest.fixture
def counted(monkeypatch):
    """``counted(forward)`` lists how many tokens its model is run on from then on."""

    def count(forward):
        tokens, body = [], forward.body

        def run(ids, *rest):
            tokens.append(len(ids))
            return body(ids, *rest)

        monkeypatch.setattr(forward, "body", run)
        monkeypatch.setattr(forward, "_step", lambda _: 1)
        return tokens

    return count


def assert_same(found, wanted):
    scale = max(1.0, float(wanted.abs().max()))
    torch.testing.assert_close(found, wanted, rtol=0, atol=1e-5 * scale)


def behind(*lengths, seed=3):
    """Texts that begin with PREFIX; what follows never begins alike."""
    generator = torch.Generator().manual_seed(seed)
    rest = [torch.randint(30, 60, (length,), generator=generator).tolist() for length in lengths]
    return [[*PREFIX, 30 + index, *ids] for index, ids in enumerate(rest)]


@pytest.mark.parametrize("kind", DECODERS)
def test_any_texts(kind, load, lasts):
    forward, plain = pack(load(kind)), load(kind)
    assert forward.shares
    heads = st.sampled_from([PREFIX, PREFIX, PREFIX, PREFIX[:9], [9]])
    tails = st.lists(st.integers(7, 59), min_size=1, max_size=12)

    @settings(deadline=None, derandomize=True, database=None, max_examples=15)
    @given(st.lists(st.builds(lambda head, tail: head + tail, heads, tails), min_size=1, max_size=5))
    def check(rows):
        assert_same(forward.last(rows), lasts(plain, rows))

    check()


@pytest.mark.parametrize(("kind", "options"), WINDOWED)
@pytest.mark.parametrize("block", [7, 512])
def test_windows_and_caps(kind, options, block, load, lasts, counted, monkeypatch):
    monkeypatch.setattr("FlagEmbedding.engine.packed.windows._BLOCK", block)
    rows = behind(1, 9, 30, 9, 2)
    forward = pack(load(kind, **options))
    tokens = counted(forward)
    assert_same(forward.last(rows), lasts(load(kind, **options), rows))
    assert tokens == [len(PREFIX), sum(map(len, rows)) - len(rows) * len(PREFIX)]


@pytest.mark.parametrize("kind", DECODERS)
def test_half_precision(kind, load, lasts):
    rows = behind(5, 9, 17)
    found = pack(load(kind, torch.bfloat16)).last(rows)
    assert torch.cosine_similarity(found, lasts(load(kind, torch.bfloat16), rows)).min() > 0.999


def test_it_is_computed_once(load, counted, lasts):
    forward = pack(load("qwen3"))
    tokens = counted(forward)
    for seed in range(3):
        rows = behind(4, 6, seed=seed)
        assert_same(forward.last(rows), lasts(load("qwen3"), rows))
    assert tokens == [20, 12, 12, 12]


def test_a_part_of_what_is_known_serves_too(load, counted, lasts):
    forward = pack(load("qwen3"))
    forward.last(behind(4, 6))
    tokens = counted(forward)
    rows = [[*PREFIX[:15], 50, 51], [*PREFIX[:15], 40]]
    assert_same(forward.last(rows), lasts(load("qwen3"), rows))
    assert tokens == [3]


def test_another_beginning_takes_its_place(load, counted, lasts):
    forward = pack(load("qwen3"))
    forward.last(behind(4, 6))
    tokens = counted(forward)
    other = [row[::-1] for row in behind(3, 2)]
    forward.last([[*PREFIX[::-1], 50, 51], [*PREFIX[::-1], 40]])
    assert tokens == [20, 3]
    assert_same(forward.last(other), lasts(load("qwen3"), other))


def test_single_texts_share_from_the_third_on(load, counted, lasts):
    forward = pack(load("qwen3"))
    tokens = counted(forward)
    for row in behind(5, 3, 4, 2):
        assert_same(forward.last([row]), lasts(load("qwen3"), [row]))
    assert tokens == [26, 24, 20, 5, 3]


def test_a_text_in_between_does_not_make_it_forgotten(load, counted):
    forward = pack(load("qwen3"))
    for row in behind(5, 3, 4):
        forward.last([row])
    tokens = counted(forward)
    for row in ([50, 51, 52], behind(7)[0], [52, 51, 52]):
        forward.last([row])
    assert tokens == [3, 8, 3]


def test_equal_texts_keep_their_last_token(load, lasts):
    rows = [PREFIX, PREFIX, [*PREFIX, 40]]
    assert_same(pack(load("mistral")).last(rows), lasts(load("mistral"), rows))


def test_what_begins_alike_in_a_few_tokens_only_is_run_whole(load, counted):
    forward = pack(load("qwen3"))
    tokens = counted(forward)
    forward.last([[7, 8, 9, *range(20, 40)], [7, 8, 9, *range(30, 50)]])
    assert tokens == [46]


def test_models_that_see_what_follows_share_nothing(load, lasts):
    rows = behind(5, 9)
    for kind, options in (("qwen2", {"is_causal": False}), ("modernbert", {}), ("bert", {})):
        forward = pack(load(kind, **options))
        assert not forward.shares
        assert_same(forward.last(rows), lasts(load(kind, **options), rows))


def test_threads(load, lasts):
    forward, plain = pack(load("mistral")), load("mistral")
    batches = [behind(*lengths, seed=seed) for seed, lengths in enumerate([(3, 9), (20,), (1, 1, 4), (7, 30)] * 4)]
    batches += [[row[::-1] for row in batch] for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(forward.last, batches))
    for one, batch in zip(found, batches, strict=True):
        assert_same(one, lasts(plain, batch))


def test_a_failure_keeps_nothing():
    calls = []

    def compute(ids):
        calls.append(ids)
        if len(calls) == 1:
            raise MemoryError
        return {}

    prefixes = Prefixes(compute)
    with pytest.raises(MemoryError):
        prefixes.before(behind(3, 4))
    assert list(prefixes.before(behind(3, 4)).ids) == PREFIX
    assert calls == [PREFIX, PREFIX]


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(st.integers(0, 1), max_size=5), min_size=1, max_size=4))
def test_shared(rows):
    length = len(shared(rows))
    assert all(row[:length] == shared(rows) for row in rows)
    assert len({tuple(row[: length + 1]) for row in rows}) > 1 or min(map(len, rows)) == length
