"""Whatever a library raises over a model's files is one error of ours that names the model; an interruption is not."""

from __future__ import annotations

import json
import re

import pytest
import torch

from FlagEmbedding import FlagModel
from FlagEmbedding.engine.explaining import explained, known_tokens, running, tokenizing
from FlagEmbedding.errors import CheckpointError, InputError, OptionError

WAYS = [lambda: explained("weights", "m"), lambda: tokenizing("m"), lambda: running("m")]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", [RuntimeError("x"), KeyError("x"), RecursionError("x"), AssertionError("x")])
def test_any_error_names_the_model_and_is_kept(way, error):
    with pytest.raises(CheckpointError, match=rf"'m' .*{type(error).__name__}: .*x") as caught, way():
        raise error
    assert caught.value.__cause__ is error


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("error", [OptionError("said already"), KeyboardInterrupt(), SystemExit(2)])
def test_ours_and_an_interruption_pass(way, error):
    with pytest.raises(type(error)) as caught, way():
        raise error
    assert caught.value is error


@pytest.mark.parametrize("way", [WAYS[0], WAYS[2]])
def test_a_lack_of_memory_is_no_fault_of_the_files(way):
    with pytest.raises(torch.OutOfMemoryError), way():
        raise torch.OutOfMemoryError("CUDA out of memory")


def test_a_message_that_repeats_the_file_is_cut():
    with pytest.raises(CheckpointError) as caught, explained("config.json", "m"):
        raise ValueError("x" * 100_000)
    assert len(str(caught.value)) < 1200


@pytest.mark.parametrize("way", WAYS[:2])
@pytest.mark.parametrize("module", ["pyo3_runtime", "torch.distributed.checkpoint.api"])
def test_what_is_raised_over_files_and_is_no_exception(way, module):
    """A panic of Rust code, say; what catches Exceptions would let it end the program."""
    panic = type("Panic", (BaseException,), {"__module__": module})
    with pytest.raises(CheckpointError, match="Panic: called `Option::unwrap"), way():
        raise panic("called `Option::unwrap()` on a `None` value")


def test_an_instruction_that_is_no_unicode(checkpoint):
    model = FlagModel(str(checkpoint("bert")), devices="cpu", query_instruction_for_retrieval="\udcff")
    with pytest.raises(InputError, match=r"^texts with their instructions\[0\] holds a lone surrogate \(U\+DCFF"):
        model.encode_queries(["the river"])
    with pytest.raises(InputError, match="holds a lone surrogate"):
        model.encode("the river", instruction="\udcff")


def test_a_tokenizer_that_loads_and_cannot_work(folder):
    """No token for what is unknown."""
    path = folder / "tokenizer.json"
    settings = json.loads(path.read_text())
    settings["model"]["unk_token"] = "[NOTHING]"
    path.write_text(json.dumps(settings))
    (folder / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"}))
    model = FlagModel(str(folder), devices="cpu")
    with pytest.raises(CheckpointError, match=rf"{re.escape(str(folder))}.*cannot take texts apart.*tokenizer\.json"):
        model.encode("unbelievable §")


@pytest.mark.parametrize("attention", [None, "eager"])
def test_a_token_that_the_model_has_no_row_for(folder, attention):
    """As many tokens as there are rows, and one of them far away."""
    path = folder / "tokenizer.json"
    settings = json.loads(path.read_text())
    settings["model"]["vocab"]["river"] = 100_000
    path.write_text(json.dumps(settings))
    model = FlagModel(str(folder), devices="cpu", attn_implementation=attention)
    assert model.encode("stone").shape == (32,)
    with pytest.raises(CheckpointError, match=rf"{re.escape(str(folder))}.*a token that the model has no row for"):
        model.encode("the river")


def test_other_faults_are_no_tokens():
    with pytest.raises(IndexError, match="broken"), known_tokens("m"):
        raise IndexError("broken")
