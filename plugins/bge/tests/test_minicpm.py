"""The layerwise network: the published mathematics, no layer too many, and nothing that it lacks taken for granted."""

from __future__ import annotations

import json

import minicpm_tiny
import pytest
import safetensors.torch
import torch

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.errors import CheckpointError, OptionError
from flagembedding_bge.minicpm import LayerwiseMiniCPM
from flagembedding_bge.minicpm_config import load_config

EVERY = [2, 3, 4, 5]
_GENERATOR = torch.Generator().manual_seed(1)
ROWS = [torch.randint(3, 64, (length,), generator=_GENERATOR).tolist() for length in (1, 3, 17, 40)]

# What checkpoints have (the first is the hub's; "single" is what upstream's training makes by default), and may have.
VARIANTS = {
    "hub": {},
    "single head": {"head_multi": False},
    "grouped": {"num_key_value_heads": 2},
    "linear rope": {"rope_scaling": {"type": "linear", "factor": 4.0}},
    "theta": {"rope_theta": 500.0},
    "bias": {"attention_bias": True},
    "from the embeddings on": {"start_layer": 0},
    "epsilon": {"rms_norm_eps": 0.1},
}


def load(folder, dtype=torch.float32) -> LayerwiseMiniCPM:
    checkpoint = Checkpoint(str(folder))
    return checkpoint.load_model(LayerwiseMiniCPM, load_config(checkpoint), dtype)


def scores(network, rows, layers=None, width=None) -> torch.Tensor:
    """The rows padded to ``width`` tokens, with a token that counts for something if it is not masked."""
    width = width or max(map(len, rows))
    ids = torch.tensor([row + [7] * (width - len(row)) for row in rows])
    mask = torch.tensor([[True] * len(row) + [False] * (width - len(row)) for row in rows])
    with torch.inference_mode():
        return network(ids, mask, layers)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nobody may change it."""
    return minicpm_tiny.build(tmp_path_factory.mktemp("minicpm") / "hub")


@pytest.fixture(scope="module")
def network(folder):
    return load(folder)


@pytest.fixture(scope="module")
def reference(folder):
    return minicpm_tiny.Reference(folder)


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=VARIANTS)
def test_the_scores_are_right(tmp_path, changes) -> None:
    folder = minicpm_tiny.build(tmp_path, **changes)
    layers = list(range(changes.get("start_layer", 2), 6))
    right = minicpm_tiny.Reference(folder)
    found = scores(load(folder), ROWS, layers)
    assert found.dtype == torch.float32
    torch.testing.assert_close(
        found.double(), torch.tensor([right.scores(row, layers) for row in ROWS]).double(), atol=1e-5, rtol=0
    )


@pytest.mark.parametrize(
    "changes",
    [
        {"scale_emb": 1},
        {"scale_depth": 1.0},
        {"rope_theta": 500.0},
        {"rope_scaling": {"type": "linear", "factor": 4.0}},
        {"rms_norm_eps": 0.1},
        {"start_layer": 1},
    ],
    ids=str,
)
def test_the_reference_can_tell_networks_apart(folder, reference, changes) -> None:
    """Or the test above would pass whatever becomes of that value."""
    other = minicpm_tiny.Reference(folder, **changes)
    assert abs(torch.tensor(reference.scores(ROWS[2], [4])) - torch.tensor(other.scores(ROWS[2], [4]))).item() > 1e-3


@pytest.mark.parametrize("layers", [[2], [5], [2, 3, 4, 5], [5, 2], [4, 2, 3], [3, 3], [5, 2, 5]], ids=str)
def test_layers_come_in_the_order_asked_for_each_with_its_own_head(network, reference, layers) -> None:
    right = torch.tensor([reference.scores(row, layers) for row in ROWS])
    torch.testing.assert_close(scores(network, ROWS, layers), right, atol=1e-5, rtol=0)


def test_without_layers_it_is_the_last(network) -> None:
    assert torch.equal(scores(network, ROWS), scores(network, ROWS, [5]))
    assert torch.equal(scores(network, ROWS, 3), scores(network, ROWS, (3,)))


@pytest.mark.parametrize(("layers", "run"), [([2], 2), ([3, 2], 3), ([4], 4), (None, 5)])
def test_no_layer_is_run_beyond_the_last_that_is_asked_for(network, layers, run) -> None:
    calls = []
    hooks = [
        layer.register_forward_hook(lambda *_, n=n: calls.append(n)) for n, layer in enumerate(network.model.layers)
    ]
    scores(network, ROWS, layers)
    for hook in hooks:
        hook.remove()
    assert calls == list(range(run))


def test_only_the_last_tokens_meet_the_norm_and_the_head(network) -> None:
    seen = []
    hook = network.model.norm.register_forward_hook(lambda _, given, __: seen.append(given[0].shape))
    scores(network, ROWS, [2, 4])
    hook.remove()
    assert seen == [(len(ROWS), 32)] * 2


def test_a_row_does_not_depend_on_its_batch_nor_on_padding(network) -> None:
    together = scores(network, ROWS, EVERY)
    for row, right in zip(ROWS, together, strict=True):
        for width in (len(row), len(row) + 1, 64):
            torch.testing.assert_close(scores(network, [row], EVERY, width)[0], right, atol=1e-5, rtol=0)


def test_every_attention_of_transformers_gives_the_same(network) -> None:
    right = scores(network, ROWS, EVERY)
    for attention in ("eager", "sdpa"):
        network.set_attn_implementation(attention)
        torch.testing.assert_close(scores(network, ROWS, EVERY), right, atol=1e-5, rtol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_gives_float32_scores(folder, network, dtype) -> None:
    half = load(folder, dtype)
    found = scores(half, ROWS, EVERY)
    assert half.dtype == dtype
    assert found.dtype == torch.float32
    assert not torch.equal(found, found.to(dtype).float()), "the head rounded its scores"
    torch.testing.assert_close(found, scores(network, ROWS, EVERY), atol=0.15, rtol=0)


@pytest.mark.parametrize(
    "layers", [[1], [6], 0, 6, -1, [-1], [], [2, 9], [2.0], ["2"], [True], [None], "3", {2, 3}, {2: 3}, 2.5], ids=repr
)
def test_a_layer_without_a_head_is_refused(network, layers) -> None:
    with pytest.raises(OptionError, match=r"cutoff_layers=.*from 2 to 5"):
        network.config.scored_layers(layers)
    with pytest.raises(OptionError, match="from 2 to 5"):
        scores(network, ROWS, layers)


def test_a_truth_is_no_layer(tmp_path) -> None:
    network = load(minicpm_tiny.build(tmp_path, start_layer=0))
    with pytest.raises(OptionError, match="from 0 to 5"):
        network.config.scored_layers(True)


@pytest.mark.parametrize(
    "name",
    [
        "model.embed_tokens.weight",
        "model.layers.3.mlp.up_proj.weight",
        "model.norm.weight",
        "lm_head.3.linear_head.weight",
    ],
)
def test_a_missing_weight_is_refused(tmp_path, name) -> None:
    change_weights(minicpm_tiny.build(tmp_path), lambda weights: weights.pop(name))
    with pytest.raises(CheckpointError, match=f"1 missing .{name}"):
        load(tmp_path)


def test_weights_left_over_or_of_another_shape_are_refused(tmp_path) -> None:
    """A head too many means that each is that of another layer."""
    change_weights(
        minicpm_tiny.build(tmp_path),
        lambda weights: weights.update({"lm_head.4.linear_head.weight": torch.ones(1, 32)}),
    )
    with pytest.raises(CheckpointError, match=r"1 unexpected .lm_head\.4"):
        load(tmp_path)
    minicpm_tiny.build(tmp_path, head_multi=False)
    change_config(tmp_path, head_multi=True)
    with pytest.raises(CheckpointError, match="4 missing"):
        load(tmp_path)
    minicpm_tiny.build(tmp_path)
    change_config(tmp_path, num_key_value_heads=2)
    with pytest.raises(CheckpointError, match="10 of another shape"):
        load(tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "llama"}, "no layerwise reranker"),
        ({"head_type": "raw"}, "head_type is 'raw'"),
        ({"head_type": "complex"}, "'simple' is supported"),
        ({"head_type": None}, "head_type is None"),
        ({"head_multi": "yes"}, "head_multi"),
        ({"start_layer": 6}, "start_layer is 6, and it has 5 layers"),
        ({"start_layer": -1}, "start_layer is -1"),
        ({"start_layer": "2"}, "start_layer"),
        ({"scale_emb": "12"}, "embedding_multiplier"),
        ({"scale_depth": "1.4"}, "unsupported operand"),
        ({"num_hidden_layers": 0, "start_layer": 0}, "division by zero"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "longest pair of its batch"),
        ({"rope_scaling": {"type": "longrope", "factor": 2.0}}, "rope type is 'longrope'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2.0}}, "rope type is 'yarn'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0, "offset": 3}}, "has offset"),
        ({"rope_scaling": {"factor": 2.0}}, "has factor"),
        ({"rope_scaling": {"type": "linear"}}, "factor of its rope is None"),
        ({"rope_scaling": {"type": "linear", "factor": 0.5}}, "not a number from 1"),
        ({"rope_scaling": 2.0}, "no mapping"),
        ({"rope_theta": "many"}, "rope_theta is 'many'"),
    ],
    ids=str,
)
def test_another_network_is_refused(tmp_path, changes, message) -> None:
    minicpm_tiny.build(tmp_path)
    change_config(tmp_path, **changes)
    with pytest.raises(CheckpointError, match=f"config.json of .*{message}"):
        load(tmp_path)


@pytest.mark.parametrize("content", [None, "{", "[]", "3"])
def test_a_damaged_configuration_is_refused(tmp_path, content) -> None:
    minicpm_tiny.build(tmp_path)
    path = tmp_path / "config.json"
    path.unlink() if content is None else path.write_text(content, encoding="utf-8")
    with pytest.raises(CheckpointError, match=r"config\.json"):
        load(tmp_path)


def test_what_transformers_5_writes_of_a_rope_is_read(tmp_path) -> None:
    folder = minicpm_tiny.build(tmp_path, rope_theta=500.0)
    right = scores(load(folder), ROWS)
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del settings["rope_theta"], settings["rope_scaling"]
    settings["rope_parameters"] = {"rope_type": "default", "rope_theta": 500.0}
    (folder / "config.json").write_text(json.dumps(settings), encoding="utf-8")
    assert torch.equal(scores(load(folder), ROWS), right)


def change_weights(folder, change) -> None:
    weights = safetensors.torch.load_file(folder / "model.safetensors")
    change(weights)
    safetensors.torch.save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def change_config(folder, **changes) -> None:
    settings = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**settings, **changes}), encoding="utf-8")
