"""What a model's files ask for is looked at before anything is allocated or opened for it."""

from __future__ import annotations

import json
import resource
import time

import pytest
import torch
from safetensors.torch import load_file

from FlagEmbedding import FlagModel
from FlagEmbedding.engine.plausible import check_settings
from FlagEmbedding.errors import CheckpointError

HUGE = 10**9


def change(folder, name="config.json", **changes):
    path = folder / name
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


@pytest.mark.parametrize(
    "settings",
    [
        *({"num_hidden_layers": HUGE}, {"n_layer": HUGE}, {"encoder_layers": 1001}, {"num_local_experts": HUGE}),
        *({"num_labels": HUGE}, {"text_config": {"num_layers": HUGE}}, {"num_attention_heads": 1e300}),
    ],
)
def test_what_would_be_counted_up_to(settings):
    with pytest.raises(CheckpointError, match=r"^config\.json of 'm' says \w+=.*; no more than \d+ are built here\.$"):
        check_settings("m", "config.json", settings)


@pytest.mark.parametrize(
    "settings",
    [
        *({"num_hidden_layers": 126}, {"max_position_embeddings": 10_485_760}, {"rope_theta": 10_000_000_000}),
        *(
            {"vocab_size": 2_000_000},
            {"attn_implementation": "sdpa"},
            {"_name_or_path": "acme/model"},
            {"max_window_layers": 2000},
        ),
    ],
)
def test_what_real_models_say(settings):
    check_settings("m", "config.json", {**settings, "layer_types": ["full_attention"] * 126})


@pytest.mark.parametrize(
    "value", ["acme/evil", {"": "acme/evil"}, {"text_config": "paged|acme/evil"}, ["acme/evil@main"]]
)
@pytest.mark.parametrize("key", ["attn_implementation", "_attn_implementation", "experts_implementation"])
def test_code_of_the_hub_by_another_name(key, value):
    with pytest.raises(CheckpointError, match=rf"says {key}='.*', which is code on the hub and is not run"):
        check_settings("m", "config.json", {"inner": {key: value}})


@pytest.mark.parametrize("depth", [60, 400])
def test_nesting(folder, depth):
    """json reads it; copying the configuration of a model would end in a RecursionError."""
    deep = 1
    for _ in range(depth):
        deep = {"a": [deep]}
    change(folder, strange=deep)
    with pytest.raises(CheckpointError, match=r"config\.json of .* is nested more than 50 levels deep"):
        FlagModel(str(folder))


@pytest.mark.parametrize("shard", ["../part.safetensors", "/part.safetensors", "a/../../part.safetensors", "C:\\part"])
def test_an_index_that_leads_out_of_the_folder(folder, shard):
    """The file is there, and transformers would read it."""
    weights = folder / "model.safetensors"
    names = list(load_file(weights))
    weights.rename(folder.parent / "part.safetensors")
    index = {"metadata": {}, "weight_map": dict.fromkeys(names, shard)}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    with pytest.raises(CheckpointError, match="leads out of the model's folder") as caught:
        FlagModel(str(folder))
    assert str(folder) in str(caught.value)


def test_an_index_that_stays_in_it(folder, reference):
    weights = folder / "model.safetensors"
    index = {"metadata": {}, "weight_map": dict.fromkeys(load_file(weights), "part.safetensors")}
    weights.rename(folder / "part.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    assert abs(FlagModel(str(folder)).encode("the river") - reference("bert").vectors(["the river"])[0]).max() <= 1e-5


@pytest.mark.parametrize("weight_map", [None, 5, {"a": 5}, {"a": None}])
def test_an_index_that_is_none(folder, weight_map):
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    (folder / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match=r"should name a file for each weight under weight_map"):
        FlagModel(str(folder))


@pytest.mark.parametrize("kind", ["bert", "roberta", "mpnet", "modernbert"])
@pytest.mark.parametrize("setting", ["hidden_size", "vocab_size", "intermediate_size", "num_hidden_layers"])
def test_a_network_that_is_far_larger_than_its_weights_takes_no_memory(tiny, tmp_path, kind, setting):
    """Each weight of another shape would be allocated anew, and be reported afterwards."""
    folder = tiny.build(tmp_path / "model", kind)
    change(folder, **{setting: HUGE})
    before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.perf_counter()
    with pytest.raises(CheckpointError, match=r"describes a network of|are built here|overflowed") as caught:
        FlagModel(str(folder), devices="cpu")
    assert str(folder) in str(caught.value)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 500_000  # kB
    assert time.perf_counter() - start < 30


def test_it_says_what_does_not_fit(tiny, tmp_path):
    folder = tiny.build(tmp_path / "model", "modernbert")
    change(folder, intermediate_size=10_000_000)
    with pytest.raises(CheckpointError, match=r"describes a network of \d+ numbers, and its weights are \d+ bytes"):
        FlagModel(str(folder), devices="cpu")


def test_the_sketch_takes_no_random_numbers(tiny, tmp_path):
    folder = tiny.build(tmp_path / "model", "modernbert")
    torch.manual_seed(1)
    FlagModel(str(folder), devices="cpu")
    found = torch.rand(1)
    torch.manual_seed(1)
    assert found == torch.rand(1)
