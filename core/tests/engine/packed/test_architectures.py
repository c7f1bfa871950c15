"""Every architecture: packed texts have the states that plain transformers gives each of them alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from FlagEmbedding.engine.packed.encoder import LeanEncoder
from FlagEmbedding.engine.packed.forward import PackedForward, Positions
from FlagEmbedding.engine.packed.loading import pack
from FlagEmbedding.engine.packed.stock import StockBody

LEAN = ("bert", "xlm-roberta", "roberta", "mpnet")
STOCK = ("modernbert", "gte", "distilbert", "mistral", "llama", "qwen2", "qwen3", "gemma", "gemma2")
LENGTHS = {
    "mixed": (5, 17, 1, 5, 30, 2, 17),
    "equal": (6, 6, 6, 6),
    "one": (13,),
    "one token": (1,),
    "longer than a filler": (40, 33, 7, 60),
}


def assert_same(found, wanted, tolerance=1e-5):
    unit = torch.nn.functional.normalize
    for one, other in zip(found, wanted, strict=True):
        assert one.dtype == torch.float32
        torch.testing.assert_close(one, other, rtol=0, atol=tolerance * max(1.0, float(other.abs().max())))
        torch.testing.assert_close(unit(one, dim=-1), unit(other, dim=-1), rtol=0, atol=tolerance)


@pytest.fixture(params=LEAN + STOCK)
def kind(request):
    return request.param


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_all_tokens(kind, lengths, load, texts, alone):
    rows = texts(*lengths)
    wanted = alone(load(kind), rows)
    states = pack(load(kind))(rows)
    assert_same(states.split(), wanted)
    assert_same([states.first()], [torch.stack([text[0] for text in wanted])])
    assert_same([states.last()], [torch.stack([text[-1] for text in wanted])])
    assert_same([states.mean()], [torch.stack([text.mean(dim=0) for text in wanted])])


@pytest.mark.parametrize("lengths", LENGTHS.values(), ids=LENGTHS.keys())
def test_some_rows(kind, lengths, load, texts, alone):
    rows = texts(*lengths)
    wanted = alone(load(kind), rows)
    forward = pack(load(kind))
    assert_same([forward.first(rows)], [torch.stack([text[0] for text in wanted])])
    assert_same([forward.last(rows)], [torch.stack([text[-1] for text in wanted])])
    assert_same([forward.mean(rows)], [torch.stack([text.mean(dim=0) for text in wanted])])


def test_what_runs(kind, load):
    body = pack(load(kind)).body
    assert isinstance(body, LeanEncoder if kind in LEAN else StockBody)
    expected = "lean packed encoder of 2 layers" if kind in LEAN else "with packed attention"
    assert expected in str(body)


@pytest.mark.parametrize("kind", LEAN[:3])
def test_an_encoder_runs_as_it_is_too(kind, load, texts, alone):
    rows = texts(*LENGTHS["mixed"])
    wanted = alone(load(kind), rows)
    model = load(kind)
    assert_same(PackedForward(StockBody(model), Positions(model))(rows).split(), wanted)


def test_a_vector_does_not_depend_on_its_neighbours(kind, load, texts):
    forward = pack(load(kind))
    rows = texts(9, 30, 2, 9, 31)
    together = forward.mean(rows)
    assert_same([together], [torch.cat([forward.mean([row]) for row in rows])])
    assert_same([forward.mean(rows[::-1])], [together.flip(0)])


def test_half_precision(kind, load, texts, alone):
    rows = texts(*LENGTHS["mixed"])
    wanted = torch.stack([text.mean(dim=0) for text in alone(load(kind, torch.bfloat16), rows)])
    found = pack(load(kind, torch.bfloat16)).mean(rows)
    assert found.dtype == torch.float32
    assert torch.cosine_similarity(found, wanted).min() > 0.999


def test_threads_do_not_mix_their_texts(kind, load, texts):
    forward = pack(load(kind))
    batches = [texts(*lengths, seed=seed) for seed, lengths in enumerate([(3, 9), (20,), (1, 1, 4), (7, 30)] * 6)]
    calls = [forward.mean, forward.first, forward.last]
    wanted = [[call(batch) for call in calls] for batch in batches]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda batch: [call(batch) for call in calls], batches * 4))
    for one, other in zip(found, wanted * 4, strict=True):
        assert_same(one, other)


def test_attention_of_a_decoder_made_bidirectional(load, texts, alone):
    rows = texts(*LENGTHS["mixed"])
    wanted = alone(load("qwen2", is_causal=False), rows)
    assert_same(pack(load("qwen2", is_causal=False))(rows).split(), wanted)
    causal = alone(load("qwen2"), rows)
    assert float((wanted[1][0] - causal[1][0]).abs().max()) > 0.1  # the first token sees what follows


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        ("mistral", {"sliding_window": 5}),
        ("modernbert", {}),  # local layers of 16
        ("gemma2", {"sliding_window": 5}),
        ("qwen2", {"sliding_window": 5, "layer_types": ["sliding_attention"] * 2}),
        ("qwen2", {"sliding_window": 5, "layer_types": ["sliding_attention"] * 2, "is_causal": False}),
    ],
)
def test_sliding_windows(kind, options, load, texts, alone):
    rows = texts(4, 30, 6, 5, 60, 30)
    wanted = alone(load(kind, **options), rows)
    assert_same(pack(load(kind, **options))(rows).split(), wanted)
    wide = alone(load(kind, **{**options, "sliding_window": 1000}), rows)
    assert float((wanted[4][-1] - wide[4][-1]).abs().max()) > 1e-3  # or the window would be none


def test_a_window_is_cut_into_blocks(load, texts, alone, monkeypatch):
    monkeypatch.setattr("FlagEmbedding.engine.packed.windows._BLOCK", 7)
    rows = texts(4, 30, 6, 60, 30)
    for kind, options in (("mistral", {"sliding_window": 5}), ("modernbert", {}), ("gemma2", {"sliding_window": 5})):
        assert_same(pack(load(kind, **options))(rows).split(), alone(load(kind, **options), rows))


@pytest.mark.parametrize("cap", [0.5, 50.0])
def test_softcap(cap, load, texts, alone):
    rows = texts(4, 30, 6)
    wanted = alone(load("gemma2", attn_logit_softcapping=cap), rows)
    assert_same(pack(load("gemma2", attn_logit_softcapping=cap))(rows).split(), wanted)


def test_the_cap_of_the_scores_counts(load, texts, alone):
    (capped,), (free,) = (alone(load("gemma2", attn_logit_softcapping=cap), texts(30)) for cap in (0.5, 50.0))
    assert float((capped - free).abs().max()) > 1e-3


def test_the_scaling_of_the_scores_counts(load, texts, alone):
    rows = texts(4, 30, 6)
    wanted = alone(load("gemma2", query_pre_attn_scalar=2), rows)
    assert_same(pack(load("gemma2", query_pre_attn_scalar=2))(rows).split(), wanted)
    assert float((wanted[1] - alone(load("gemma2"), rows)[1]).abs().max()) > 1e-3


@pytest.mark.parametrize("kind", ["xlm-roberta", "roberta", "mpnet"])
def test_a_padding_token_inside_a_text_has_no_number(kind, load, alone):
    pad = load(kind).config.pad_token_id
    rows = [[8, 9, pad, 11, 12], [9, 8], [pad, 8, 9]]
    assert_same(pack(load(kind))(rows).split(), alone(load(kind), rows))


@pytest.mark.parametrize(("kind", "body"), [("bert", "lean"), ("bert", "stock")])
def test_token_types(kind, body, load, texts, alone):
    rows = texts(5, 3, 9)
    types = [[0, 0, 1, 1, 1], [0, 1, 1], [0] * 4 + [1] * 5]
    wanted = alone(load(kind), rows, token_type_ids=types)
    model = load(kind)
    forward = pack(model) if body == "lean" else PackedForward(StockBody(model), Positions(model))
    assert_same(forward(rows, types).split(), wanted)
    assert float((wanted[0] - alone(load(kind), rows)[0]).abs().max()) > 1e-3
