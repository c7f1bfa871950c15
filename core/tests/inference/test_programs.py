"""What programs that import FlagEmbedding today do with a model, call by call."""

from __future__ import annotations

import copy
import inspect
import pickle

import numpy as np
import pytest
import torch

from FlagEmbedding import FlagAutoModel, FlagModel
from FlagEmbedding.errors import InputError
from FlagEmbedding.inference.embedder import model_mapping


@pytest.fixture(scope="module")
def path(checkpoint):
    return str(checkpoint("bert"))


@pytest.fixture(scope="module")
def vectors(path):
    return FlagModel(path, devices="cpu").encode(["river", "stone"])


@pytest.mark.parametrize("device", ["cpu", ["cpu"], torch.device("cpu"), [torch.device("cpu")], None])
@pytest.mark.parametrize("word", ["device", "devices"])
@pytest.mark.usefixtures("no_accelerator")
def test_devices_in_every_spelling(path, vectors, device, word):
    assert (FlagModel(path, **{word: device}).encode(["river", "stone"]) == vectors).all()


@pytest.mark.parametrize("load", [FlagModel, FlagAutoModel.from_finetuned])
def test_named_parameters(path, load):
    names = inspect.signature(load).parameters
    assert {"use_fp16", "normalize_embeddings", "query_instruction_for_retrieval", "devices", "pooling_method"} <= {
        *names
    }


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_instances_can_be_copied_and_pickled(path, vectors, again):
    assert (again(FlagModel(path, devices="cpu")).encode(["river", "stone"]) == vectors).all()


def test_none_means_the_default(path, vectors):
    model = FlagModel(path, devices="cpu")
    found = model.encode(["river", "stone"], batch_size=None, max_length=None, convert_to_numpy=None)
    assert (found == vectors).all()


def test_vectors_are_plain_numbers_after_tolist(path):
    assert {type(value) for value in FlagModel(path, devices="cpu").encode("river").tolist()} == {float}


def test_scores_of_torch_tensors(path, vectors):
    model = FlagModel(path, devices="cpu", convert_to_numpy=False)
    scores = model.encode_queries(["river"]) @ model.encode_corpus(["river", "stone"]).T
    assert scores.shape == (1, 2)
    assert np.abs(scores.numpy() - vectors[:1] @ vectors.T).max() <= 1e-6


def test_the_width_and_the_vocabulary_can_be_read(path):
    model = FlagModel(path, devices="cpu")
    assert (model.model.config.hidden_size, len(model.tokenizer)) == (32, model.model.config.vocab_size)


def test_lists_of_names():
    assert model_mapping.support_model_list() == list(model_mapping.AUTO_EMBEDDER_MAPPING)
    assert model_mapping.support_native_nobodys_model_list() == []
    with pytest.raises(AttributeError, match="support_models"):
        _ = model_mapping.support_models


def test_a_subclass_of_ones_own(path, vectors):
    class Doubled(FlagModel):
        def encode_single_device(self, sentences, **kwargs):
            return 2 * super().encode_single_device(sentences, **kwargs)

    assert (Doubled(path, devices="cpu").encode_corpus(["river", "stone"]) == 2 * vectors).all()


def test_one_string_is_not_taken_for_a_list_of_its_characters(path):
    with pytest.raises(InputError, match="one string was given where a list of texts is needed"):
        FlagModel(path, devices="cpu").encode_single_device("river")
