"""PrefixForward: what it gives is what the full forward gives, and what it spares is spared."""

from __future__ import annotations

import functools
import importlib.util
from pathlib import Path

import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from FlagEmbedding.engine.forward import PaddedForward
from FlagEmbedding.engine.pooling import last_token
from flagembedding_bge.icl import ICLLLMEmbedder
from flagembedding_bge.icl_prefix import PrefixForward, _ReadOnlyLayer, can_continue, shared_length


def _load(name):
    spec = importlib.util.spec_from_file_location(f"flagembedding_bge_{name}", Path(__file__).with_name(f"{name}.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


icl = _load("test_icl_checkpoints")

PREFIX = [5, 6, 7, 8, 9, 10, 11, 12]
WINDOWED = {
    "mistral": {"sliding_window": 12},
    "qwen2": {"sliding_window": 12, "use_sliding_window": True, "max_window_layers": 1},
    "gemma2": {"sliding_window": 12},
}


@pytest.fixture(scope="module")
def backbone(tmp_path_factory):
    def load(kind, **config):
        folder = icl.build(tmp_path_factory.mktemp("prefix") / kind, kind, **config)
        return transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()

    return load


@pytest.fixture(scope="module")
def shared_backbone(backbone):
    return functools.cache(lambda kind: backbone(kind, sliding_window=None if kind != "gemma2" else 4096))


@pytest.fixture
def counted(monkeypatch):
    """``counted(model)`` lists the shapes of what the model is run on from then on."""

    def count(model):
        shapes, run = [], model.forward

        @functools.wraps(run)
        def forward(**inputs):
            shapes.append([*inputs["input_ids"].shape])
            return run(**inputs)

        monkeypatch.setattr(model, "forward", forward)
        return shapes

    return count


def pooled(forward, rows):
    with torch.inference_mode():
        hidden = forward(rows)
    return last_token(hidden.states, hidden.mask)


def alone(model, rows):
    with torch.no_grad():
        return torch.stack([model(input_ids=torch.tensor([row])).last_hidden_state[0, -1] for row in rows])


def largest_difference(vectors, expected):
    return ((vectors - expected).norm(dim=1) / expected.norm(dim=1)).max().item()


@pytest.mark.parametrize(
    ("kind", "attention"),
    [("mistral", "sdpa"), ("mistral", "eager"), ("qwen2", "sdpa"), ("qwen2", "eager"), ("gemma2", "eager")],
)
def test_any_rows_equal_the_full_forward(kind, attention, shared_backbone):
    model = shared_backbone(kind)
    model.set_attn_implementation(attention)
    forward = PrefixForward(model, 0, "cpu", PREFIX)
    rest = st.lists(st.integers(3, 100), min_size=1, max_size=9)
    beginning = st.sampled_from([PREFIX, PREFIX, PREFIX, PREFIX[:3], []])

    @settings(deadline=None, derandomize=True, database=None, max_examples=12)
    @given(st.lists(st.builds(lambda head, tail: head + tail, beginning, rest), min_size=1, max_size=5))
    def check(rows):
        assert largest_difference(pooled(forward, rows), alone(model, rows)) <= 1e-5

    check()


@pytest.mark.parametrize("kind", icl.KINDS)
def test_the_prefix_is_run_once(kind, shared_backbone, counted):
    shapes = counted(model := shared_backbone(kind))
    forward = PrefixForward(model, 0, "cpu", PREFIX)
    assert shapes == []
    first = pooled(forward, [[*PREFIX, 20, 21, 22], [*PREFIX, 23]])
    assert shapes == [[1, len(PREFIX)], [2, 3]]
    assert (pooled(forward, [[*PREFIX, 20, 21, 22], [*PREFIX, 23]]) == first).all()
    pooled(forward, [[*PREFIX, 20]])
    assert shapes[2:] == [[2, 3], [1, 1]]


def test_keys_and_values_are_never_changed(shared_backbone):
    forward = PrefixForward(shared_backbone("mistral"), 0, "cpu", PREFIX)
    pooled(forward, [[*PREFIX, 20]])
    before = [(keys.clone(), values.clone()) for keys, values in forward._layers]
    pooled(forward, [[*PREFIX, *range(20, 40)], [*PREFIX[:2], 99]])
    assert len(forward._layers) == len(before) == 3
    for (keys, values), (old_keys, old_values) in zip(forward._layers, before, strict=True):
        assert keys.shape == (1, 2, len(PREFIX), 8)
        assert torch.equal(keys, old_keys)
        assert torch.equal(values, old_values)


def test_a_layer_keeps_nothing_of_a_batch():
    """What transformers' own layers do; the prefix would then be held once a text and layer."""
    keys = torch.arange(24.0).reshape(1, 2, 4, 3)
    layer = _ReadOnlyLayer(keys, keys + 1, 2)
    joined, values = layer.update(torch.zeros(5, 2, 7, 3), torch.ones(5, 2, 7, 3))
    assert joined.shape == values.shape == (5, 2, 9, 3)
    assert torch.equal(joined[4, :, :2], keys[0, :, :2])
    assert torch.equal(values[3, :, :2], keys[0, :, :2] + 1)
    assert (values[:, :, 2:] == 1).all()
    assert (layer.get_seq_length(), layer.keys.shape[0]) == (2, 1)


def test_rows_that_begin_otherwise_share_what_they_have(shared_backbone, counted):
    shapes = counted(model := shared_backbone("mistral"))
    forward = PrefixForward(model, 0, "cpu", PREFIX)
    rows = [[*PREFIX, 20], [*PREFIX[:5], 99, 98]]
    vectors = pooled(forward, rows)
    assert shapes == [[1, 8], [2, 4]]
    assert largest_difference(vectors, alone(model, rows)) <= 1e-5


def test_a_row_that_is_the_prefix_keeps_its_last_token(shared_backbone, counted):
    shapes = counted(model := shared_backbone("mistral"))
    rows = [PREFIX, [*PREFIX, 20]]
    vectors = pooled(PrefixForward(model, 0, "cpu", PREFIX), rows)
    assert shapes[1] == [2, 2]
    assert largest_difference(vectors, alone(model, rows)) <= 1e-5


@pytest.mark.parametrize("rows", [[[1, 2]], [[*PREFIX, 1], [2, 3]]])
def test_nothing_shared_is_run_in_full(rows, shared_backbone, counted):
    shapes = counted(model := shared_backbone("mistral"))
    pooled(PrefixForward(model, 0, "cpu", PREFIX), rows)
    assert shapes == [[len(rows), max(map(len, rows))]]


@pytest.mark.parametrize("kind", icl.KINDS)
def test_texts_longer_than_a_window_are_run_in_full(kind, backbone, counted):
    shapes = counted(model := backbone(kind, **WINDOWED[kind]))
    forward = PrefixForward(model, 0, "cpu", PREFIX)
    within, beyond = [[*PREFIX, 20, 21, 22, 23]], [[*PREFIX, 20, 21, 22, 23, 24]]
    assert largest_difference(pooled(forward, beyond), alone(model, beyond)) <= 1e-5
    assert shapes[0] == [1, 13]
    del shapes[:]
    assert largest_difference(pooled(forward, within), alone(model, within)) <= 1e-5
    assert shapes[:2] == [[1, 8], [1, 4]]


@pytest.mark.parametrize("kind", icl.KINDS)
def test_a_model_that_reads_both_ways_is_run_in_full(kind, backbone, counted):
    model = backbone(kind, is_causal=False)
    assert not can_continue(model)
    shapes = counted(model)
    rows = [[*PREFIX, 20], [*PREFIX, 21, 22]]
    expected = pooled(PaddedForward(model, 0, "cpu"), rows)
    assert torch.equal(pooled(PrefixForward(model, 0, "cpu", PREFIX), rows), expected)
    assert shapes[1:] == [[2, 10]]


@pytest.mark.parametrize("kind", icl.KINDS)
def test_causal_decoders_continue(kind, shared_backbone):
    assert can_continue(shared_backbone(kind))


def test_encoders_do_not_continue():
    assert not can_continue(icl.tiny.random_model(transformers.BertConfig(**icl.tiny.SIZES, vocab_size=50)))


@pytest.mark.parametrize(
    "change",
    [
        {"layer_types": ["full_attention", "linear_attention", "full_attention"]},
        {"is_causal": False},
    ],
)
def test_other_attention_does_not_continue(change, backbone):
    model = backbone("mistral")
    assert can_continue(model)
    for name, value in change.items():
        setattr(model.config, name, value)
    assert not can_continue(model)


def test_code_of_a_checkpoint_does_not_continue(backbone):
    model = backbone("mistral")
    model.__class__ = type("MistralModel", (type(model),), {"__module__": "transformers_modules.folder.modeling"})
    assert not can_continue(model)


def test_one_layer_that_reads_both_ways_does_not_continue(backbone):
    model = backbone("mistral")
    model.layers[1].self_attn.is_causal = False
    assert not can_continue(model)


def test_attention_that_says_no_direction_does_not_continue(backbone):
    model = backbone("mistral")
    for layer in model.layers:
        del layer.self_attn.is_causal
    assert not can_continue(model)


def test_a_forward_that_takes_no_keys_and_values_does_not_continue(backbone, monkeypatch):
    model = backbone("mistral")
    monkeypatch.setattr(model, "forward", lambda input_ids, attention_mask: None)
    assert not can_continue(model)


@pytest.mark.parametrize(
    ("rows", "length"),
    [([[1, 2, 3]], 3), ([[1, 2, 3], [1, 2]], 2), ([[1, 2], [1, 3], [1, 2]], 1), ([[], [1]], 0), ([[2], [1]], 0)],
)
def test_shared_length(rows, length):
    assert shared_length(rows) == length


@settings(deadline=None, derandomize=True, database=None)
@given(st.lists(st.lists(st.integers(0, 1), max_size=5), min_size=1, max_size=4))
def test_shared_length_of_any_rows(rows):
    length = shared_length(rows)
    assert len({tuple(row[:length]) for row in rows}) == 1
    assert len({tuple(row[: length + 1]) for row in rows}) > 1 or min(map(len, rows)) == length


def test_the_embedder_runs_examples_and_instruction_once(tmp_path, counted):
    folder = icl.build(tmp_path / "mistral")
    plain = icl.Reference(folder)
    model = ICLLLMEmbedder(
        str(folder), devices="cpu", query_instruction_for_retrieval=icl.INSTRUCTION, examples_for_task=icl.EXAMPLES
    )

    def length(text):
        return len(plain.tokenizer(text, add_special_tokens=False)["input_ids"]) + 1  # the first token is special

    shapes = counted(model.model)
    model.encode_queries(["xxxx", "yy"], batch_size=1)
    head = length(icl.query_text("", icl.EXAMPLES).removesuffix("\n<response>"))
    assert shapes == [[1, head], *([1, length(icl.query_text(text)) + 1 - head] for text in ("xxxx", "yy"))]
    model.set_examples(icl.EXAMPLES[:1])
    del shapes[:]
    model.encode_queries(["xxxx", "yy"])
    assert shapes[0] == [1, length(icl.query_text("", icl.EXAMPLES[:1]).removesuffix("\n<response>"))]
    model.set_examples(None)
    del shapes[:]
    model.encode_queries(["xxxx"])
    assert shapes == [[1, length(icl.query_text("xxxx", [])) + 1]]
