"""The lightweight network: the published mathematics, no layer and no token too many, and nothing left unsaid."""

from __future__ import annotations

import json

import cost_wise_checkpoints as checkpoints
import pytest
import safetensors.torch
import torch

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.errors import CheckpointError, OptionError
from flagembedding_bge.cost_wise_config import load_config
from flagembedding_bge.cost_wise_gemma import CostWiseGemma
from flagembedding_bge.token_compression import Rows, compress

# (tokens, query, prompt): passages of 0, 1, 2, 7, 8, 9, 31 and 11 tokens, between parts of several lengths.
SHAPES = [(12, 5, 7), (13, 5, 7), (12, 3, 7), (19, 6, 6), (20, 4, 8), (16, 4, 3), (43, 5, 7), (11, 0, 0)]
_GENERATOR = torch.Generator().manual_seed(1)
PAIRS = [(torch.randint(3, 90, (size,), generator=_GENERATOR).tolist(), query, end) for size, query, end in SHAPES]
EVERY = [2, 3, 4, 5, 6]


def load(folder, dtype=torch.float32) -> CostWiseGemma:
    checkpoint = Checkpoint(str(folder))
    return checkpoint.load_model(CostWiseGemma, load_config(checkpoint), dtype)


def scores(network, pairs, width=None, **options) -> torch.Tensor:
    """The pairs in one batch, padded to ``width`` tokens with a token that counts for something if it is seen."""
    width = width or max(len(ids) for ids, _, _ in pairs)
    with torch.inference_mode():
        return network(
            torch.tensor([ids + [7] * (width - len(ids)) for ids, _, _ in pairs]),
            torch.tensor([[True] * len(ids) + [False] * (width - len(ids)) for ids, _, _ in pairs]),
            torch.tensor([query for _, query, _ in pairs]),
            torch.tensor([prompt for _, _, prompt in pairs]),
            **options,
        )


def close(found, right) -> None:
    torch.testing.assert_close(found.double(), torch.as_tensor(right, dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nobody may change it."""
    return checkpoints.write(tmp_path_factory.mktemp("lightweight") / "hub")


@pytest.fixture(scope="module")
def network(folder):
    return load(folder)


@pytest.fixture(scope="module")
def reference(folder):
    return checkpoints.Reference(folder)


@pytest.mark.parametrize(
    ("ratio", "compressed"),
    [(1, [1]), (2, [1]), (2, [2, 4]), (2, [1, 2, 3, 4, 5]), (4, [5]), (4, [4, 2, 2]), (8, [3]), (8, [1, 2])],
    ids=str,
)
def test_the_scores_are_right(network, reference, ratio, compressed) -> None:
    """Each pair alone, so that nothing is padded."""
    for pair in PAIRS:
        how = {"ratio": ratio, "compressed": compressed}
        right = [[reference.score(*pair, layer, head, **how) for head, layer in enumerate((3, 6))]]
        found = scores(network, [pair], cutoff_layers=[3, 6], compress_layers=compressed, compress_ratio=ratio)
        assert found.dtype == torch.float32
        close(found, right)


@pytest.mark.parametrize("changes", [{"softcap": False}, {"window": False}, {"restart": False}], ids=str)
def test_the_reference_can_tell_networks_apart(folder, reference, changes) -> None:
    """Or the test above would pass whatever became of them."""
    other = checkpoints.Reference(folder, **changes)
    how = {"ratio": 2, "compressed": [2]}
    assert abs(reference.score(*PAIRS[6], 6, 0, **how) - other.score(*PAIRS[6], 6, 0, **how)) > 0.02


@pytest.mark.parametrize(
    "changes",
    [
        {"final_logit_softcapping": None, "attn_logit_softcapping": None},
        {"query_pre_attn_scalar": 1, "rope_theta": 20000, "sliding_window": 2},
        {"start_layer": 0, "layer_sep": 3, "attn_logit_softcapping": 1},
        {"pad_token_id": 0, "num_key_value_heads": 4, "rms_norm_eps": 0.01},
        {"attention_bias": True, "hidden_activation": "silu"},
        {"layer_types": ["full_attention", "sliding_attention", "sliding_attention"] * 2},
    ],
    ids=str,
)
def test_the_configuration_is_followed(tmp_path, changes) -> None:
    checkpoints.write(tmp_path, **changes)
    (tmp_path / "config.json").write_text(json.dumps({**checkpoints.CONFIG, **changes}))  # with its nulls
    right = checkpoints.Reference(tmp_path)
    layers = [3, 6]
    for pair in PAIRS[3::3]:
        found = scores(load(tmp_path), [pair], cutoff_layers=layers, compress_layers=[2], compress_ratio=4)
        how = {"ratio": 4, "compressed": [2]}
        close(found, [[right.score(*pair, layer, head, **how) for head, layer in enumerate(layers)]])


def test_what_a_config_leaves_out_is_what_it_was_when_it_was_saved(tmp_path, folder) -> None:
    """transformers 5 has 256 for query_pre_attn_scalar, 4.46 had 224."""
    names = ["query_pre_attn_scalar", "final_logit_softcapping", "attn_logit_softcapping", "sliding_window"]
    checkpoints.write(tmp_path, **dict.fromkeys([*names, "rope_theta"]))
    config = load_config(Checkpoint(str(tmp_path)))
    assert [getattr(config, name) for name in names] == [224, 30.0, 50.0, 4096]
    assert config.rope_parameters == {"rope_type": "default", "rope_theta": 10000.0}


def test_the_attention_is_the_one_that_caps_its_logits(folder, network) -> None:
    assert network.config._attn_implementation == "eager"
    checkpoint = Checkpoint(str(folder))
    with pytest.raises(CheckpointError, match="scaled_dot_product_attention"):
        checkpoint.load_model(CostWiseGemma, load_config(checkpoint), torch.float32, "sdpa")


@pytest.mark.parametrize("ratio", [1, 2, 8])
def test_a_score_does_not_depend_on_its_batch(network, ratio) -> None:
    options = {"cutoff_layers": EVERY, "compress_layers": [2, 4], "compress_ratio": ratio}
    alone = torch.cat([scores(network, [pair], **options) for pair in PAIRS])
    for width in (None, 44, 64):
        close(scores(network, PAIRS, width, **options), alone)
    close(scores(network, PAIRS[:3], 30, **options), alone[:3])


@pytest.mark.parametrize("layers", [[6], [2], [3, 5], [5, 3], [6, 2, 4], [4, 4], [6, 2, 6]], ids=str)
@pytest.mark.parametrize("head", ["position", "layer"])
def test_layers_come_in_the_order_asked_for(network, reference, layers, head) -> None:
    """By default the lowest of them has head 0, the next head 1; or each layer the head that was trained with it."""
    rank = sorted(set(layers)).index if head == "position" else EVERY.index
    right = [[reference.score(*PAIRS[3], layer, rank(layer)) for layer in layers]]
    close(scores(network, [PAIRS[3]], cutoff_layers=layers, head=head), right)


def test_heads_of_every_second_layer(tmp_path) -> None:
    checkpoints.write(tmp_path, layer_sep=2)
    right = checkpoints.Reference(tmp_path)
    found = scores(load(tmp_path), [PAIRS[3]], cutoff_layers=[6, 4], head="layer")
    close(found, [[right.score(*PAIRS[3], 6, 2), right.score(*PAIRS[3], 4, 1)]])


def test_without_options(network) -> None:
    """The last layer with head 0, nothing compressed; a number is a list of one."""
    right = scores(network, PAIRS, cutoff_layers=[6], compress_layers=[], compress_ratio=1)
    assert torch.equal(scores(network, PAIRS), right)
    assert torch.equal(scores(network, PAIRS, cutoff_layers=6), right)
    options = {"cutoff_layers": (3,), "compress_ratio": 2}
    assert torch.equal(
        scores(network, PAIRS, compress_layers=1, **options), scores(network, PAIRS, compress_layers=[1], **options)
    )


def test_without_a_ratio_the_layers_do_not_matter(network) -> None:
    for layers in ([1], [2, 4], [8], [99], None):
        assert torch.equal(scores(network, PAIRS, compress_layers=layers, compress_ratio=1), scores(network, PAIRS))


@pytest.fixture
def run(network):
    """The layers that were run, each with the tokens it was given."""
    calls = []
    hooks = [
        layer.register_forward_hook(lambda _, given, __, number=number: calls.append((number, given[0].shape[1])))
        for number, layer in enumerate(network.model.layers)
    ]
    yield calls
    for hook in hooks:
        hook.remove()


@pytest.mark.parametrize(("layers", "depth"), [([2], 2), ([5, 3], 5), ([6], 6), (None, 6)])
def test_no_layer_is_run_beyond_the_last_that_is_asked_for(network, run, layers, depth) -> None:
    scores(network, PAIRS, cutoff_layers=layers)
    assert [layer for layer, _ in run] == list(range(depth))


def test_compressed_layers_have_fewer_tokens(network, run) -> None:
    """Of 43 tokens 31 are the passage's: 8 of them are left, then 2; what is compressed at the end is not needed."""
    scores(network, PAIRS, cutoff_layers=[5], compress_layers=[3, 1, 5], compress_ratio=4)
    assert run == [(0, 43), (1, 20), (2, 20), (3, 14), (4, 14)]


def test_a_layer_is_scored_before_its_tokens_get_fewer(network, reference) -> None:
    """Without a prompt the last token is the passage's, and would be mixed with others."""
    right = reference.score(*PAIRS[7], 3, 0)
    found = scores(network, [PAIRS[7]], cutoff_layers=[3, 4], compress_layers=[3], compress_ratio=8)
    close(found, [[right, reference.score(*PAIRS[7], 4, 1, ratio=8, compressed=[3])]])


@pytest.mark.parametrize("ratio", [2, 8])
def test_passages_without_tokens(network, reference, ratio) -> None:
    pair = PAIRS[0]
    assert pair[1] + pair[2] == len(pair[0])
    right = [[reference.score(*pair, 6, 0)]] * 2
    close(scores(network, [pair, pair], compress_layers=[1, 3], compress_ratio=ratio), right)


def test_half_precision_scores_in_float32(folder, network) -> None:
    half = scores(load(folder, torch.bfloat16), PAIRS, compress_layers=[2], compress_ratio=2)
    assert half.dtype == torch.float32
    assert abs(half - scores(network, PAIRS, compress_layers=[2], compress_ratio=2)).max() < 1
    assert (half != half.bfloat16().float()).any()  # not rounded on their way


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cutoff_layers": [1]}, r"cutoff_layers=\[1\]: 1 is no layer here\. Those that have a head are 2 to 6\."),
        ({"cutoff_layers": [6, 7]}, r"7 is no layer here.* 2 to 6"),
        ({"cutoff_layers": -1}, r"cutoff_layers=-1: -1 is no layer here.* 2 to 6"),
        ({"cutoff_layers": [True]}, r"True is no layer"),
        ({"cutoff_layers": "2"}, r"'2' is no layer"),
        ({"cutoff_layers": 2.0}, r"2\.0 is no layer"),
        ({"cutoff_layers": []}, r"cutoff_layers is empty: name some of 2 to 6"),
        ({"compress_ratio": 3}, r"compress_ratio=3 must be 1 \(no compression\), 2, 4 or 8"),
        ({"compress_ratio": 0}, r"compress_ratio=0 must be"),
        ({"compress_ratio": True}, r"compress_ratio=True must be"),
        ({"compress_ratio": "2"}, r"compress_ratio='2' must be"),
        ({"compress_ratio": 2, "compress_layers": [6]}, r"6 is no layer here\. Those that can compress are 1 to 5\."),
        ({"compress_ratio": 2, "compress_layers": [2, 0]}, r"compress_layers=\[2, 0\]: 0 is no layer.* 1 to 5"),
        ({"compress_ratio": 2, "compress_layers": None}, r"None is no layer"),
        ({"head": "last"}, r"head='last' is not known: 'position' is the default, 'layer'"),
    ],
    ids=str,
)
def test_options_that_cannot_be(network, options, message) -> None:
    with pytest.raises(OptionError, match=message):
        scores(network, PAIRS, **options)


def test_the_message_names_each_layer_where_some_have_no_head(tmp_path) -> None:
    checkpoints.write(tmp_path, layer_sep=2)
    with pytest.raises(OptionError, match=r"5 is no layer here\. Those that have a head are 2, 4, 6\."):
        scores(load(tmp_path), PAIRS, cutoff_layers=[5])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model_type": "gemma2"}, "model_type is not 'cost_wise_gemma'"),
        ({"layer_wise": False}, "layer_wise is false: it has no heads that give one score"),
        ({"layer_wise": None}, "layer_wise"),
        ({"start_layer": 7}, "its heads are at each 1 layers from 7 on, and it has 6 layers"),
        ({"start_layer": -1}, "from -1 on"),
        ({"layer_sep": 0}, "at each 0 layers"),
        ({"layer_sep": "1"}, "layer_sep"),
        ({"hidden_size": "wide"}, "hidden_size"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0}}, "positions are scaled"),
        ({"rope_parameters": {"rope_type": "yarn", "rope_theta": 3.0}}, "positions are scaled"),
    ],
    ids=str,
)
def test_configurations_of_other_networks(tmp_path, changes, message) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**checkpoints.CONFIG, **changes}))
    with pytest.raises(CheckpointError, match=rf"config\.json of .* cannot be used.*{message}"):
        load_config(Checkpoint(str(tmp_path)))


@pytest.mark.parametrize("content", [None, "{", "[1]"])
def test_faulty_configurations(tmp_path, content) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(CheckpointError, match=r"config\.json of .* cannot be used"):
        load_config(Checkpoint(str(tmp_path)))


def test_what_we_save_we_can_load(network, tmp_path) -> None:
    network.save_pretrained(tmp_path)
    assert load_config(Checkpoint(str(tmp_path))).pad_token_id == 1
    assert torch.equal(
        scores(load(tmp_path), PAIRS, cutoff_layers=[2, 6]), scores(network, PAIRS, cutoff_layers=[2, 6])
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda weights: weights.pop("lm_head.3.linear_head.weight"), r"1 missing \(lm_head\.3\.linear_head\.weight\)"),
        (lambda weights: weights.pop("model.norm.weight"), r"1 missing \(model\.norm\.weight\)"),
        (lambda weights: weights.pop("model.layers.5.mlp.up_proj.weight"), "1 missing"),
        (lambda weights: weights.update({"lm_head.5.linear_head.weight": torch.ones(1, 32)}), "1 unexpected"),
        (lambda weights: weights.update({"lm_head.0.linear_head.weight": torch.ones(2, 32)}), "1 of another shape"),
    ],
    ids=["head", "norm", "layer", "further head", "vocabulary"],
)
def test_weights_that_do_not_fit(tmp_path, change, message) -> None:
    checkpoints.write(tmp_path)
    weights = safetensors.torch.load_file(tmp_path / "model.safetensors")
    change(weights)
    safetensors.torch.save_file(weights, tmp_path / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=message):
        load(tmp_path)


def test_code_in_the_folder_is_left_alone(tmp_path) -> None:
    checkpoints.write(tmp_path)
    for name in ("gemma_model.py", "gemma_config.py"):
        (tmp_path / name).write_text("raise AssertionError('it was executed')")
    load(tmp_path)


def rows_of(*lengths: tuple[int, int, int]) -> Rows:
    """Rows of (query, passage, prompt) tokens; a token's state is its place, and 100 times that, padding is NaN."""
    width = max(map(sum, lengths))
    places = torch.arange(width).float()
    filled = [torch.where(places < sum(each), places, torch.nan) for each in lengths]
    states = torch.stack(filled).unsqueeze(2) * torch.tensor([1.0, 100.0])
    query, _, prompt = torch.tensor(lengths).T
    return Rows(states, torch.tensor([sum(each) for each in lengths]), query, prompt)


def test_compression_by_hand() -> None:
    """Queries and prompts stay; of each three places, the last maybe of fewer, there is the mean; padding is zero."""
    found = compress(rows_of((1, 7, 2), (2, 0, 1), (0, 3, 1), (3, 4, 3)), 3)
    assert found.lengths.tolist() == [6, 3, 2, 8]
    assert found.states[..., 0].tolist() == [
        [0, 2, 5, 7, 8, 9, 0, 0],
        [0, 1, 2, 0, 0, 0, 0, 0],
        [1, 3, 0, 0, 0, 0, 0, 0],
        [0, 1, 2, 4, 6, 7, 8, 9],
    ]
    assert torch.equal(found.states[..., 1], found.states[..., 0] * 100)
    assert (found.queries.tolist(), found.prompts.tolist()) == ([1, 2, 0, 3], [2, 1, 1, 3])


def test_compression_twice() -> None:
    found = compress(compress(rows_of((1, 7, 2)), 2), 2)
    assert found.states[0, :, 0].tolist() == [0, 2.5, 6.25, 8, 9]
    assert found.lengths.tolist() == [5]


def test_only_passages_without_tokens() -> None:
    rows = rows_of((2, 0, 2), (1, 0, 1))
    found = compress(rows, 8)
    assert found.lengths.tolist() == [4, 2]
    assert found.states[..., 0].tolist() == [[0, 1, 2, 3], [0, 1, 0, 0]]


def test_means_are_taken_in_float32() -> None:
    """256 and three ones are 259: in bfloat16, one after the other, they stay 256."""
    states = torch.tensor([256.0, 1, 1, 1]).bfloat16().reshape(1, 4, 1)
    found = compress(Rows(states, torch.tensor([4]), torch.tensor([0]), torch.tensor([0])), 4)
    assert found.states.dtype == torch.bfloat16
    assert found.states.item() == torch.tensor(259 / 4).bfloat16().item() != 64
