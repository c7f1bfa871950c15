"""A checkpoint loads completely or not at all; what is wrong with it is said, and its own code does not run."""

from __future__ import annotations

import json
import pickle
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from FlagEmbedding import FlagAutoModel, FlagModel
from FlagEmbedding.errors import CheckpointError, DownloadError, FlagEmbeddingError, UnknownModelError

TEXTS = ["the river", "and all of the garden window paper letter"]
WEIGHTS = "model.safetensors"


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def cut(name, size):
    return lambda folder: (folder / name).write_bytes((folder / name).read_bytes()[:size])


def remove(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def config(**changes):
    def change(folder):
        values = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**values, **changes}))

    return change


def weights(change):
    def rewrite(folder):
        tensors = load_file(folder / WEIGHTS)
        change(tensors)
        save_file(tensors, folder / WEIGHTS, metadata={"format": "pt"})

    return rewrite


def tokenizer_json(change):
    def rewrite(folder):
        values = json.loads((folder / "tokenizer.json").read_text())
        change(values)
        (folder / "tokenizer.json").write_text(json.dumps(values))

    return rewrite


QUERY = "encoder.layer.1.attention.self.query.weight"

# What is done to a good folder, and what the message must say beside the folder's name.
FAULTS = {
    "no config": (remove("config.json"), "config.json"),
    "config cut short": (cut("config.json", 40), "config.json"),
    "config empty": (write("config.json", b""), "config.json"),
    "config is a list": (write("config.json", b"[]"), "config.json"),
    "config is a string": (write("config.json", b'"bert"'), "config.json"),
    "config is not text": (write("config.json", b"\xff\xfe\x00"), "config.json"),
    "no model type": (write("config.json", b"{}"), "config.json"),
    "unknown model type": (config(model_type="strange"), "config.json"),
    "width is a word": (config(hidden_size="wide"), ""),
    "width is null": (config(hidden_size=None), ""),
    "width is no multiple of the heads": (config(hidden_size=33), ""),
    "no heads": (config(num_attention_heads=0), ""),
    "negative width": (config(hidden_size=-32), ""),
    "negative vocabulary": (config(vocab_size=-1), ""),
    "unknown activation": (config(hidden_act="nonsense"), ""),
    "no tokenizer": (remove("tokenizer.json", "tokenizer_config.json"), "has no tokenizer (none of tokenizer.json,"),
    "tokenizer cut short": (cut("tokenizer.json", 300), "tokenizer"),
    "tokenizer empty": (write("tokenizer.json", b""), "tokenizer"),
    "tokenizer is an empty object": (write("tokenizer.json", b"{}"), "tokenizer"),
    "tokenizer is a list": (write("tokenizer.json", b"[]"), "tokenizer"),
    "tokenizer is not text": (write("tokenizer.json", bytes(range(256))), "tokenizer"),
    "tokenizer without a model": (tokenizer_json(lambda values: values.pop("model")), "tokenizer"),
    "tokenizer of an unknown kind": (
        tokenizer_json(lambda values: values["model"].update(type="Strange")),
        "tokenizer",
    ),
    "tokenizer with a negative id": (
        tokenizer_json(lambda values: values["model"]["vocab"].update(river=-1)),
        "tokenizer",
    ),
    "tokenizer settings are a list": (write("tokenizer_config.json", b"[]"), "tokenizer"),
    "tokenizer settings cut short": (cut("tokenizer_config.json", 10), "tokenizer"),
    "no weights": (remove(WEIGHTS), "weights"),
    "weights empty": (write(WEIGHTS, b""), "weights"),
    "weights are garbage": (write(WEIGHTS, b"garbage " * 100), "weights"),
    "weights cut in the header": (cut(WEIGHTS, 100), "weights"),
    "weights cut in the middle": (cut(WEIGHTS, 20_000), "weights"),
    "weights lack the last byte": (cut(WEIGHTS, -1), "weights"),
    "a pointer of git lfs": (
        write(WEIGHTS, b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"),
        "weights",
    ),
    "one weight missing": (weights(lambda tensors: tensors.pop(QUERY)), f"1 missing ({QUERY})"),
    "an unexpected weight": (
        weights(lambda tensors: tensors.update({"encoder.layer.2.strange": torch.ones(2)})),
        "1 unexpected (encoder.layer.2.strange)",
    ),
    "five weights missing": (
        weights(lambda tensors: [tensors.pop(name) for name in list(tensors) if "layer.0.attention.self" in name][:5]),
        ", ...)",
    ),
    "a layer more than the config says": (config(num_hidden_layers=1), "unexpected (encoder.layer.1."),
    "a layer less": (config(num_hidden_layers=3), "missing (encoder.layer.2."),
    "a weight of another shape": (
        weights(lambda tensors: tensors.update({QUERY: torch.ones(32, 31)})),
        f"1 of another shape ({QUERY} (32, 31) instead of (32, 32))",
    ),
    "another width": (config(hidden_size=64, intermediate_size=48), "of another shape"),
    "a missing shard": (
        lambda folder: (
            (folder / WEIGHTS).unlink(),
            (folder / f"{WEIGHTS}.index.json").write_text(
                json.dumps({"metadata": {}, "weight_map": {QUERY: "model-00001-of-00002.safetensors"}})
            ),
        ),
        "weights",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("load", [FlagModel, FlagAutoModel.from_finetuned], ids=["FlagModel", "FlagAutoModel"])
def test_a_faulty_folder(tiny, folder, capfd, load, fault):
    tiny.add_sentence_transformers_files(folder, "cls")
    damage, words = FAULTS[fault]
    damage(folder)
    capfd.readouterr()
    with pytest.raises(CheckpointError) as caught:
        load(str(folder))
    assert str(folder) in str(caught.value)
    if load is FlagModel or "config" not in fault:
        assert words in str(caught.value)
    assert isinstance(caught.value, ValueError)
    assert capfd.readouterr() == ("", "")


OURS_ALONE = ("no config", "no tokenizer", "missing", "unexpected weight", "shape", "a layer", "another width")


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if not any(own in fault for own in OURS_ALONE)])
def test_the_cause_is_kept(folder, fault):
    FAULTS[fault][0](folder)
    with pytest.raises(CheckpointError) as caught:
        FlagModel(str(folder))
    assert isinstance(caught.value.__cause__, Exception)
    assert not isinstance(caught.value.__cause__, FlagEmbeddingError)


@pytest.mark.parametrize("load", [FlagModel, FlagAutoModel.from_finetuned], ids=["FlagModel", "FlagAutoModel"])
@pytest.mark.parametrize("kind", ["absolute", "relative", "three parts", "a file"])
def test_no_such_folder(tmp_path, monkeypatch, capfd, load, kind):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    names = {
        "absolute": str(tmp_path / "missing"),
        "relative": "./missing",
        "three parts": "models/of/mine",
        "a file": str(tmp_path / "file"),
    }
    with pytest.raises(UnknownModelError, match=re.escape(f"there is no model folder {names[kind]!r}.")):
        load(names[kind])
    assert capfd.readouterr() == ("", "")


def test_a_hub_id_without_a_network(capfd):
    with pytest.raises(
        DownloadError, match=r"(?s)'nobody/nothing' .*Check the network \(and HF_HUB_OFFLINE\)"
    ) as caught:
        FlagModel("nobody/nothing")
    assert isinstance(caught.value, RuntimeError)
    assert caught.value.__cause__ is not None
    assert capfd.readouterr() == ("", "")


def test_a_tokenizer_of_another_model(tiny, tmp_path):
    folder = tiny.build(tmp_path / "model", vocab_size=100)
    with pytest.raises(
        CheckpointError, match=r"has 183 tokens and the model 100: they do not belong together\.$"
    ) as caught:
        FlagModel(str(folder))
    assert str(folder) in str(caught.value)


def test_more_rows_than_tokens_are_fine(tiny, tmp_path):
    """Vocabularies are padded to multiples of 8 or 64."""
    folder = tiny.build(tmp_path / "model", vocab_size=192)
    assert_right(tiny, folder)


def assert_right(tiny, folder, **options):
    expected = tiny.Reference(folder).vectors(TEXTS)
    assert np.abs(FlagModel(str(folder), **options).encode(TEXTS) - expected).max() <= 1e-5


LEFTOVERS = ("bert", "xlm-roberta", "roberta", "mpnet", "modernbert", "distilbert", "electra", "deberta-v2")


@pytest.mark.parametrize("model_type", LEFTOVERS)
def test_leftovers_of_pretraining(tiny, tmp_path, model_type, capfd):
    """A masked-language head that nobody needs, outside the backbone; and no pooler."""
    folder = tiny.build(tmp_path / "model", model_type, kind=transformers.AutoModelForMaskedLM)
    capfd.readouterr()
    found = FlagModel(str(folder)).encode(TEXTS)
    assert capfd.readouterr() == ("", "")
    assert np.abs(found - tiny.Reference(folder).vectors(TEXTS)).max() <= 1e-5
    assert len(load_file(folder / WEIGHTS)) > len(
        transformers.AutoModelForMaskedLM.from_pretrained(folder).base_model.state_dict()
    )


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta", "roberta", "mpnet"])
def test_position_numbers_of_old_checkpoints(tiny, tmp_path, model_type):
    folder = tiny.build(tmp_path / "model", model_type)
    weights(lambda tensors: tensors.update({"embeddings.position_ids": torch.arange(64).unsqueeze(0)}))(folder)
    assert_right(tiny, folder)


@pytest.mark.parametrize("model_type", ["bert", "xlm-roberta", "roberta", "mpnet"])
def test_no_pooler(tiny, tmp_path, model_type):
    folder = tiny.build(tmp_path / "model", model_type)
    weights(lambda tensors: [tensors.pop(name) for name in list(tensors) if name.startswith("pooler.")])(folder)
    assert_right(tiny, folder)


@pytest.mark.parametrize(
    "name", ["cls.predictions.bias", "lm_head.dense.weight", "predictions.bias", "pooler.dense.weight"]
)
def test_names_that_only_look_like_leftovers(folder, name):
    """Within the encoder such a name is a weight like any other."""
    weights(lambda tensors: tensors.update({f"encoder.layer.0.{name}": torch.ones(2)}))(folder)
    with pytest.raises(CheckpointError, match=re.escape(f"1 unexpected (encoder.layer.0.{name})")):
        FlagModel(str(folder))


class Evil:
    """An object that creates a file when it is unpickled."""

    def __init__(self, trap):
        self.trap = trap

    def __reduce__(self):
        return Path.touch, (self.trap,)


@pytest.mark.parametrize("form", ["zip", "legacy", "bare"])
def test_a_pickle_with_code_in_it(folder, tmp_path, capfd, form):
    trap = tmp_path / "sprung"
    (folder / WEIGHTS).unlink()
    file = folder / "pytorch_model.bin"
    if form == "bare":
        file.write_bytes(pickle.dumps({QUERY: Evil(trap)}, protocol=2))
    else:
        torch.save({QUERY: Evil(trap)}, file, _use_new_zipfile_serialization=form == "zip")
    with pytest.raises(CheckpointError, match=re.escape(str(folder))) as caught:
        FlagModel(str(folder))
    assert caught.value.__cause__ is not None
    assert not trap.exists()
    assert capfd.readouterr() == ("", "")


def test_the_trap_works(tmp_path):
    trap = tmp_path / "sprung"
    pickle.loads(pickle.dumps(Evil(trap)))
    assert trap.exists()


CODE = """
from pathlib import Path
Path({trap!r}).touch()
from transformers import BertConfig, BertModel, BertTokenizer
class Config(BertConfig):
    model_type = "strange"
class Model(BertModel):
    config_class = Config
class Tokenizer(BertTokenizer):
    pass
"""


@pytest.fixture
def with_code(tiny, folder, tmp_path):
    """A folder whose files ask for Python code beside them, and the file that this code creates."""
    trap = tmp_path / "sprung"
    (folder / "code.py").write_text(CODE.format(trap=str(trap)))
    auto = {
        "AutoConfig": "code.Config",
        "AutoModel": "code.Model",
        "AutoTokenizer": ["code.Tokenizer", "code.Tokenizer"],
    }
    tiny.change_json(folder / "config.json", auto_map=auto)
    tiny.change_json(folder / "tokenizer_config.json", auto_map=auto)
    return folder, trap


@pytest.mark.parametrize("load", [FlagModel, FlagAutoModel.from_finetuned], ids=["FlagModel", "FlagAutoModel"])
def test_code_of_a_model_type_that_transformers_knows(tiny, with_code, load):
    folder, trap = with_code
    found = load(str(folder)).encode(TEXTS)
    assert not trap.exists()
    assert np.abs(found - tiny.Reference(folder).vectors(TEXTS)).max() <= 1e-5


@pytest.mark.parametrize("load", [FlagModel, FlagAutoModel.from_finetuned], ids=["FlagModel", "FlagAutoModel"])
@pytest.mark.parametrize("option", [{}, {"trust_remote_code": False}])
def test_code_of_a_strange_model_type(with_code, capfd, load, option):
    folder, trap = with_code
    config(model_type="strange")(folder)
    with pytest.raises(CheckpointError, match=re.escape(str(folder))):
        load(str(folder), **option)
    assert not trap.exists()
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("load", [FlagModel, FlagAutoModel.from_finetuned], ids=["FlagModel", "FlagAutoModel"])
def test_code_runs_when_the_caller_says_so(with_code, tmp_path, monkeypatch, load):
    folder, trap = with_code
    config(model_type="strange")(folder)
    monkeypatch.setattr(sys, "path", [*sys.path])
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    load(str(folder), trust_remote_code=True)
    assert trap.exists()


def test_a_name_of_a_registered_model_makes_no_folder_trusted(with_code, tmp_path):
    folder, trap = with_code
    config(model_type="strange")(folder)
    named = folder.rename(tmp_path / "gte-base-en-v1.5")
    with pytest.raises(CheckpointError):
        FlagAutoModel.from_finetuned(str(named))
    assert not trap.exists()
