"""The weights read straight from the file give what transformers gives, or transformers is asked."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
import transformers

from FlagEmbedding import FlagAutoModel
from FlagEmbedding.engine.limits import position_limit
from FlagEmbedding.engine.packed.bare import bare_encoder
from FlagEmbedding.engine.packed.loading import pack

FAMILIES = ("bert", "roberta", "xlm-roberta", "camembert")


def bare(folder, dtype=torch.float32):
    return bare_encoder(folder, transformers.AutoConfig.from_pretrained(folder), dtype, ("pooler.", "cls."))


def weights_of(found):
    """Return the weights of a bare encoder by their names in the backbone."""
    weights = {f"embeddings.{name}": tensor for name, tensor in found.embeddings.state_dict().items()}
    for index, layer in enumerate(found.layers()):
        weights |= {f"encoder.layer.{index}.{name}": tensor for name, tensor in layer.state_dict().items()}
    return weights


@pytest.mark.parametrize("family", FAMILIES)
def test_it_gives_what_transformers_gives(family, tiny, tmp_path, texts, alone):
    folder = tiny.build(tmp_path / family, family, layer_norm_eps=1e-3)
    rows = texts(5, 30, 5, 1, 12)
    padding = transformers.AutoConfig.from_pretrained(folder).pad_token_id
    rows[1][4:6] = [padding, padding]  # a text may well contain it, and RoBERTa counts it in a way of its own
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    found = bare(folder)
    assert position_limit(found) == position_limit(model)
    forward = pack(found)
    for one, other in zip(forward(rows).split(), alone(model, rows), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)
    firsts = torch.stack([states[0] for states in alone(model, rows)])
    torch.testing.assert_close(forward.first(rows), firsts, rtol=0, atol=1e-5)


def test_the_passages_tokens_have_a_type_of_their_own(tiny, tmp_path, texts, alone):
    folder = tiny.build(tmp_path / "bert", "bert")
    rows, types = texts(6, 4), [[0, 0, 1, 1, 1, 1], [0, 1, 1, 1]]
    model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
    wanted = alone(model, rows, token_type_ids=types)
    for one, other in zip(pack(bare(folder))(rows, types).split(), wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5)


def test_the_dtype_is_the_one_that_is_asked_for(tiny, tmp_path):
    folder = tiny.build(tmp_path / "half", "bert")
    path = folder / "model.safetensors"
    weights = {name: tensor.half() for name, tensor in safetensors.torch.load_file(path).items()}
    safetensors.torch.save_file(weights, path, {"format": "pt"})
    for dtype in (torch.float32, torch.bfloat16):
        found = weights_of(bare(folder, dtype))
        assert len(found) == 5 + 16 * 2
        for name, tensor in found.items():
            assert tensor.dtype is dtype
            assert torch.equal(tensor, weights[name].to(dtype))


@pytest.mark.parametrize(("family", "prefix"), [("bert", "bert."), ("xlm-roberta", "roberta.")])
def test_a_backbone_under_a_head_has_a_prefix(family, prefix, tiny, tmp_path):
    folder = tiny.build(tmp_path / "plain", family)
    path = folder / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    named = {prefix + name: tensor for name, tensor in weights.items()}
    named["cls.predictions.bias"] = torch.zeros(3)
    named[prefix + "embeddings.position_ids"] = torch.arange(8)
    safetensors.torch.save_file(named, path, {"format": "pt"})
    for name, tensor in weights_of(bare(folder)).items():
        assert torch.equal(tensor, weights[name])


@pytest.mark.parametrize(
    "settings",
    [
        {"hidden_act": "gelu_new"},
        {"position_embedding_type": "relative_key"},
        {"is_decoder": True},
        {"add_cross_attention": True},
        {"quantization_config": {"quant_method": "bitsandbytes"}},
        {"auto_map": {"AutoModel": "modeling.Other"}},
        {"transformers_weights": "other.safetensors"},
        {"num_attention_heads": 5},
        {"num_attention_heads": -4},
        {"num_hidden_layers": 0},
        {"pad_token_id": None, "model_type": "xlm-roberta"},
        {"model_type": "electra"},
        {"num_hidden_layers": 3},
        {"num_hidden_layers": 1},
        {"intermediate_size": 52},
    ],
)
def test_what_is_out_of_the_ordinary_is_left_to_transformers(settings, tiny, tmp_path):
    folder = tiny.build(tmp_path / "bert", "bert")
    config = transformers.AutoConfig.from_pretrained(folder)
    assert bare_encoder(folder, config, torch.float32, ("pooler.",)) is not None
    for name, value in settings.items():
        object.__setattr__(config, name, value)
    assert bare_encoder(folder, config, torch.float32, ("pooler.",)) is None


def without(folder: Path, name: str, **others):
    path = folder / "model.safetensors"
    weights = safetensors.torch.load_file(path) | others
    weights.pop(name, None)
    safetensors.torch.save_file(weights, path, {"format": "pt"})


@pytest.mark.parametrize(
    "change",
    [
        lambda folder: without(folder, "encoder.layer.1.output.dense.bias"),
        lambda folder: without(folder, "", extra=torch.zeros(2)),
        lambda folder: without(folder, "", **{"embeddings.LayerNorm.bias": torch.zeros(7)}),
        lambda folder: without(folder, "", **{"bert.embeddings.LayerNorm.bias": torch.zeros(32)}),
        lambda folder: (folder / "adapter_config.json").write_text("{}"),
        lambda folder: (folder / "model.safetensors").rename(folder / "model-00001-of-00001.safetensors"),
    ],
    ids=["missing", "unexpected", "shape", "twice", "adapter", "shards"],
)
def test_other_files_are_left_to_transformers(change, tiny, tmp_path):
    folder = tiny.build(tmp_path / "bert", "bert")
    change(folder)
    assert bare(folder) is None


def test_the_network_is_handed_out_as_transformers_has_it(tiny, tmp_path):
    folder = tiny.build(tmp_path / "bert", "bert")
    model = FlagAutoModel.from_finetuned(folder, pooling_method="cls", devices="cpu")
    before = model.encode(["a river", "the garden of light"])
    assert "lean packed encoder" in model.engine
    assert isinstance(model.model, transformers.BertModel)
    assert model.engine == "padded batches"
    np.testing.assert_allclose(model.encode(["a river", "the garden of light"]), before, rtol=0, atol=1e-5)


_SCRIPT = """
import json, sys
from FlagEmbedding import FlagAutoModel
FlagAutoModel.from_finetuned(sys.argv[1], pooling_method="cls", devices="cpu").encode(["a river"])
print(json.dumps([name for name in ("torch._dynamo", "transformers.modeling_utils") if name in sys.modules]))
"""


def test_a_bert_is_loaded_without_transformers_modelling_code(tiny, tmp_path):
    folder = tiny.build(tmp_path / "bert", "bert")
    done = subprocess.run([sys.executable, "-c", _SCRIPT, folder], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout.splitlines()[-1]) == []


@pytest.mark.skipif(sys.platform != "linux", reason="what is mapped is read from /proc")
def test_the_file_is_mapped_for_the_tables_alone(tiny, tmp_path):
    folder = tiny.build(tmp_path / "bert", "bert")
    model = FlagAutoModel.from_finetuned(folder, pooling_method="cls", devices="cpu")
    maps = Path("/proc/self/maps").read_text(encoding="utf-8")
    assert maps.count(f"{folder}/model.safetensors") == 1
    assert "lean packed encoder" in model.engine


def test_a_file_that_goes_while_it_is_read_is_an_error(tiny, tmp_path):
    folder = shutil.copytree(tiny.build(tmp_path / "bert", "bert"), tmp_path / "going")
    found = bare(folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(ValueError, match=r"the weights of '.*going' cannot be loaded: FileNotFoundError"):
        pack(found)


def test_a_damaged_file_is_said_to_be(tiny, tmp_path):
    folder = shutil.copytree(tiny.build(tmp_path / "bert", "bert"), tmp_path / "damaged")
    path = folder / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"the weights of .* are damaged"):
        FlagAutoModel.from_finetuned(folder, pooling_method="cls", devices="cpu")
