"""The options of a language model that scores, its checkpoint, and adapters."""

from __future__ import annotations

import inspect
import sys
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import load_file, save_file

from FlagEmbedding import FlagLLMReranker
from FlagEmbedding.errors import CheckpointError, OptionError
from FlagEmbedding.inference.reranker.adapter import with_adapter

PAIRS = [("river", "stone"), ("light of the", "seven garden window"), ("one", "of the more all")]


@pytest.fixture
def path(language_model):
    return str(language_model("mistral"))


@pytest.mark.parametrize(
    "options", [{"use_dataloader": True}, {"num_workers": 4}, {"use_dataloader": True, "num_workers": 0}]
)
def test_worker_processes_are_not_needed_and_may_be_asked_for(llm_reranker, options):
    found = llm_reranker("mistral").compute_score(PAIRS, **options)
    assert found == llm_reranker("mistral").compute_score(PAIRS)


@pytest.mark.parametrize(
    ("option", "nearest"),
    [("promt", "prompt"), ("peftpath", "peft_path"), ("use_bf61", "use_bf16"), ("normalise", "normalize")],
)
def test_an_unknown_option_of_the_constructor(path, option, nearest):
    with pytest.raises(OptionError, match=rf"got an unknown option '{option}'\. Did you mean .*'{nearest}'"):
        FlagLLMReranker(path, **{option: 1})


@pytest.mark.parametrize(
    ("option", "nearest"), [("promt", "prompt"), ("use_dataloaders", "use_dataloader"), ("max_lenght", "max_length")]
)
@pytest.mark.parametrize("pairs", [PAIRS, []])
def test_an_unknown_option_of_a_call(llm_reranker, pairs, option, nearest):
    with pytest.raises(
        OptionError, match=rf"^compute_score got an unknown option '{option}'\. Did you mean .*'{nearest}'"
    ):
        llm_reranker("mistral").compute_score(pairs, **{option: 1})


def test_the_options_of_the_other_kind_of_reranker_are_unknown(llm_reranker):
    with pytest.raises(OptionError, match="unknown option 'truncation'"):
        llm_reranker("mistral").compute_score(PAIRS, truncation="longest_first")


def test_a_missing_output_embedding_is_not_made_up(tiny, tmp_path):
    folder = tiny.build_language_model(tmp_path / "model", "mistral")
    tensors = load_file(folder / "model.safetensors")
    del tensors["lm_head.weight"]
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match=r"do not fit its config\.json: 1 missing \(lm_head\.weight\)"):
        FlagLLMReranker(str(folder))


def test_an_output_embedding_that_is_the_input_embedding(tiny, tmp_path, plain_language_model):
    folder = tiny.build_language_model(tmp_path / "model", "qwen2", start=False, tie_word_embeddings=True)
    assert "lm_head.weight" not in load_file(folder / "model.safetensors")
    found, expected = FlagLLMReranker(str(folder)).compute_score(PAIRS), plain_language_model(folder).scores(PAIRS)
    assert max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= 1e-5


@pytest.fixture
def no_peft(monkeypatch):
    monkeypatch.setitem(sys.modules, "peft", None)


@pytest.mark.usefixtures("no_peft")
def test_an_adapter_without_peft(path):
    with pytest.raises(OptionError) as caught:
        FlagLLMReranker(path, peft_path="acme/adapter")
    assert str(caught.value) == "peft_path='acme/adapter' needs the package peft. Run: pip install peft"
    assert isinstance(caught.value.__cause__, ImportError)


@pytest.mark.usefixtures("no_peft")
@pytest.mark.parametrize("nothing", [None, ""])
def test_without_an_adapter_peft_is_not_needed(path, llm_reranker, nothing):
    assert FlagLLMReranker(path, nothing).compute_score(PAIRS) == llm_reranker("mistral").compute_score(PAIRS)


class Merging(torch.nn.Module):
    """What peft wraps around a model, as far as merging goes: this adapter adds 1 to the last norm."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def merge_and_unload(self):
        self.model.model.norm.weight.data += 1
        return self.model.train().requires_grad_()


@pytest.fixture
def peft(monkeypatch):
    """A stand-in for the package; the paths that it was asked for."""
    paths = []

    def read(path):
        paths.append(path)
        if isinstance(path, Exception):
            raise path
        return SimpleNamespace(task_type="CAUSAL_LM")

    def load(model, path, config):
        assert (path, config.task_type) == (paths[-1], None)  # with its type, peft wants to generate text
        return Merging(model)

    package = {"PeftConfig": read, "PeftModel": load}
    classes = {name: SimpleNamespace(from_pretrained=function) for name, function in package.items()}
    monkeypatch.setitem(sys.modules, "peft", SimpleNamespace(**classes))
    return paths


def test_an_adapter_is_merged(path, peft, plain_language_model):
    model, plain = FlagLLMReranker(path, "acme/adapter"), plain_language_model(path)
    plain.model.model.norm.weight.data += 1
    found, expected = model.compute_score(PAIRS), plain.scores(PAIRS)
    assert peft == ["acme/adapter"]
    assert max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= 1e-5
    assert not model.model.training
    assert not any(weight.requires_grad for weight in model.model.parameters())


@pytest.mark.parametrize("error", [OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError])
@pytest.mark.usefixtures("peft")
def test_an_adapter_that_cannot_be_loaded(error):
    cause = error("no adapter_config.json")
    with pytest.raises(CheckpointError) as caught:
        with_adapter(torch.nn.Linear(1, 1), cause)
    assert str(caught.value) == f"the adapter {cause!r} cannot be loaded: {cause}"
    assert caught.value.__cause__ is cause


def test_the_signature_that_programs_rely_on():
    assert list(inspect.signature(FlagLLMReranker.__init__).parameters) == [
        "self",
        "model_name_or_path",
        "peft_path",
        "use_fp16",
        "use_bf16",
        "query_instruction_for_rerank",
        "query_instruction_format",
        "passage_instruction_for_rerank",
        "passage_instruction_format",
        "cache_dir",
        "trust_remote_code",
        "devices",
        "prompt",
        "batch_size",
        "query_max_length",
        "max_length",
        "normalize",
        "kwargs",
    ]
    defaults = {name: value.default for name, value in inspect.signature(FlagLLMReranker.__init__).parameters.items()}
    assert (defaults["query_instruction_for_rerank"], defaults["passage_instruction_for_rerank"]) == ("A: ", "B: ")


def test_rank(llm_reranker, plain_llm):
    documents = ["stone", "the river", "garden window"]
    scores = plain_llm("mistral").scores([("river", document) for document in documents])
    found = llm_reranker("mistral").rank("river", documents, prompt=None)
    assert [one["index"] for one in found] == sorted(range(3), key=lambda index: -scores[index])
