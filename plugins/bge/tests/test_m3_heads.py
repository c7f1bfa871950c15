"""The head files: fetched with the weights, loaded as tensors or not at all, and missed only where they are needed."""

from __future__ import annotations

import inspect
import os
import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from FlagEmbedding import FlagAutoModel
from FlagEmbedding.errors import CheckpointError, InputError, OptionError
from flagembedding_bge.m3 import M3Embedder

FILES = {"return_sparse": "sparse_linear.pt", "return_colbert_vecs": "colbert_linear.pt"}


class Bomb:
    """A pickle that makes a folder when it is loaded."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def load(folder, **options):
    return M3Embedder(str(folder), devices="cpu", **options)


def test_attributes_that_programs_read(m3):
    assert m3.model.model.config.hidden_size == 32
    assert m3.model.colbert_linear.out_features == 16
    assert m3.model.sparse_linear.out_features == 1
    assert len(m3.tokenizer) == len(m3.model.model.get_input_embeddings().weight)
    assert m3.dimension == 32
    assert m3.model.config is m3.model.model.config


def test_signature_is_upstreams():
    names = list(inspect.signature(M3Embedder.__init__).parameters)[1:-1]
    assert names == [
        "model_name_or_path",
        "normalize_embeddings",
        "use_fp16",
        "use_bf16",
        "query_instruction_for_retrieval",
        "query_instruction_format",
        "devices",
        "pooling_method",
        "trust_remote_code",
        "cache_dir",
        "colbert_dim",
        "batch_size",
        "query_max_length",
        "passage_max_length",
        "return_dense",
        "return_sparse",
        "return_colbert_vecs",
        "truncate_dim",
    ]
    encode = ["batch_size", "max_length", "return_dense", "return_sparse", "return_colbert_vecs"]
    for method in (M3Embedder.encode, M3Embedder.encode_queries, M3Embedder.encode_corpus):
        assert list(inspect.signature(method).parameters)[2:-1] == encode
    single = list(inspect.signature(M3Embedder.encode_single_device).parameters)
    assert single == ["self", "sentences", *encode, "device", "kwargs"]
    score = list(inspect.signature(M3Embedder.compute_score).parameters)
    assert score[1:-1] == [
        "sentence_pairs",
        "batch_size",
        "max_query_length",
        "max_passage_length",
        "weights_for_different_modes",
    ]


@pytest.mark.parametrize("missing", [["return_sparse"], ["return_colbert_vecs"], list(FILES)])
def test_missing_heads_are_missed_only_when_asked_for(m3, m3_folder, missing):
    for option in missing:
        (m3_folder / FILES[option]).unlink()
    model = load(m3_folder)
    assert np.allclose(model.encode("the river")["dense_vecs"], m3.encode("the river")["dense_vecs"], rtol=0, atol=1e-6)
    for option, file in FILES.items():
        if option in missing:
            with pytest.raises(CheckpointError, match=rf"has no {file}.*Copy that file.*return_dense=True alone"):
                model.encode("the river", **{option: True})
        else:
            assert model.encode("the river", **{option: True}) is not None
    with pytest.raises(CheckpointError, match=FILES[missing[0]]):
        model.compute_score([("a", "b")])


@pytest.mark.parametrize("option", FILES)
def test_a_missing_head_is_missed_before_any_forward(m3_folder, option):
    (m3_folder / FILES[option]).unlink()
    with pytest.raises(CheckpointError, match=FILES[option]):
        load(m3_folder).encode([], **{option: True})
    with pytest.raises(CheckpointError, match=FILES[option]):
        load(m3_folder, **{option: True})


def test_the_width_of_a_missing_colbert_head_can_be_read(m3_folder):
    (m3_folder / "colbert_linear.pt").unlink()
    assert load(m3_folder).model.colbert_linear.out_features == 32
    model = load(m3_folder, colbert_dim=8)
    assert model.model.colbert_linear.out_features == 8
    assert model.model.colbert_linear.in_features == 32
    with pytest.raises(CheckpointError, match=r"has no colbert_linear\.pt"):
        model.model.colbert_linear(torch.zeros(1, 32))


@pytest.mark.parametrize("file", FILES.values())
@pytest.mark.parametrize(
    "content", [b"", b"no pickle", b"PK\x03\x04 cut off", "cut"], ids=["empty", "text", "zip", "cut"]
)
def test_a_damaged_head(m3_folder, file, content):
    path = m3_folder / file
    path.write_bytes(path.read_bytes()[:-300] if content == "cut" else content)
    with pytest.raises(CheckpointError, match=rf"{file} of .* cannot be loaded as tensors.*Fetch or copy it again"):
        load(m3_folder)


@pytest.mark.parametrize("file", FILES.values())
@pytest.mark.parametrize("save", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb))])
def test_code_in_a_head_is_not_run(m3_folder, tmp_path, file, save):
    mark = tmp_path / "code-has-run"
    save({"weight": Bomb(mark), "bias": torch.zeros(1)}, m3_folder / file)
    with pytest.raises(CheckpointError, match="holds code, which is not run"):
        load(m3_folder)
    assert not mark.exists()


@pytest.mark.parametrize(
    ("file", "state"),
    [
        ("sparse_linear.pt", {"weight": torch.zeros(2, 32), "bias": torch.zeros(2)}),
        ("sparse_linear.pt", {"weight": torch.zeros(1, 31), "bias": torch.zeros(1)}),
        ("sparse_linear.pt", {"weight": torch.zeros(1, 32)}),
        ("sparse_linear.pt", {"weight": torch.zeros(1, 32), "bias": torch.zeros(1), "more": torch.zeros(1)}),
        ("colbert_linear.pt", {"weight": torch.zeros(16, 33), "bias": torch.zeros(16)}),
        ("colbert_linear.pt", {"weight": torch.zeros(16, 32), "bias": torch.zeros(15)}),
        ("colbert_linear.pt", {"weight": torch.zeros(0, 32), "bias": torch.zeros(0)}),
        ("colbert_linear.pt", {"weight": torch.zeros(()), "bias": torch.zeros(())}),
        ("colbert_linear.pt", {}),
    ],
)
def test_a_head_of_another_shape(m3_folder, file, state):
    torch.save(state, m3_folder / file)
    with pytest.raises(CheckpointError, match=rf"{file} of .* holds .*and the model needs"):
        load(m3_folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ([1, 2], "it holds no mapping of names to tensors"),
        ({"weight": 1.0, "bias": 2.0}, "it holds no mapping of names to tensors"),
        (
            {"weight": torch.zeros(1, 32).int()},
            r"weight is a tensor of torch\.int32 .*, and no plain floating",
        ),
    ],
)
def test_a_head_that_is_no_state_dict(m3_folder, content, message):
    torch.save(content, m3_folder / "sparse_linear.pt")
    with pytest.raises(CheckpointError, match=rf"the sparse_linear\.pt of .* cannot be loaded: TypeError: {message}"):
        load(m3_folder)


def test_colbert_dim_must_be_the_files(m3_folder):
    assert load(m3_folder, colbert_dim=16).model.colbert_linear.out_features == 16
    with pytest.raises(CheckpointError, match=r"colbert_linear\.pt"):
        load(m3_folder, colbert_dim=8)
    with pytest.raises(OptionError, match="colbert_dim"):
        load(m3_folder, colbert_dim="8")


def test_the_heads_of_a_hub_model_are_fetched(m3_folder, monkeypatch, m3):
    asked = []

    def fetch(repository, options, extra=()):
        asked.append((repository, dict(options), tuple(extra)))
        return m3_folder

    monkeypatch.setattr("FlagEmbedding.engine.checkpoint.fetch_model", fetch)
    model = M3Embedder("acme/m3", devices="cpu", cache_dir="/cache", revision="main", token="secret")
    options = {"cache_dir": "/cache", "revision": "main", "token": "secret"}
    assert ("acme/m3", options, ("sparse_linear.pt", "colbert_linear.pt")) in asked
    assert np.allclose(model.encode("river")["dense_vecs"], m3.encode("river")["dense_vecs"], rtol=0, atol=1e-6)
    assert b"secret" not in pickle.dumps(model)


def test_the_auto_model_knows_it_by_name(m3, m3_folder):
    folder = m3_folder.rename(m3_folder.with_name("bge-m3"))
    model = FlagAutoModel.from_finetuned(str(folder), devices="cpu", return_sparse=True)
    assert type(model) is M3Embedder
    assert model.query_max_length == model.passage_max_length == 8192
    expected = m3.encode("the river", return_sparse=True)["lexical_weights"]
    assert model.encode("the river")["lexical_weights"] == pytest.approx(expected, abs=1e-5)


def test_a_local_model_asks_no_hub(m3_folder, monkeypatch):
    monkeypatch.setattr("FlagEmbedding.engine.checkpoint.fetch_model", lambda *_: pytest.fail("the hub was asked"))
    load(Path(m3_folder))


def test_options_are_checked(m3, m3_folder):
    with pytest.raises(OptionError, match="return_sparse"):
        m3.encode("a", return_sprase=True)
    with pytest.raises(OptionError, match="return_colbert_vecs"):
        load(m3_folder, return_colbert_vec=True)
    with pytest.raises(OptionError, match="max_query_length"):
        m3.compute_score([("a", "b")], max_query_len=8)
    with pytest.raises(OptionError, match="batch_size"):
        m3.compute_score([("a", "b")], batch_size=0)
    with pytest.raises(OptionError, match="max_passage_length"):
        m3.compute_score([("a", "b")], max_passage_length=0)
    with pytest.raises(OptionError, match="nothing is asked for"):
        m3.encode("a", return_dense=False)
    with pytest.raises(OptionError, match="truncate_dim"):
        m3.encode("a", truncate_dim=33)
    with pytest.raises(InputError, match=r"sentences\[1\]"):
        m3.encode(["a", None], return_sparse=True)
