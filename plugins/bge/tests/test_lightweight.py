"""LightweightLLMReranker: the scores of pairs, each tokenised and scored by hand, and what a caller may ask of it."""

from __future__ import annotations

import functools
import inspect
import json
import math
from pathlib import Path

import cost_wise_checkpoints as checkpoints
import pytest
import tokenizers
import torch

from FlagEmbedding.errors import CheckpointError, DeviceError, OptionError
from flagembedding_bge import lightweight
from flagembedding_bge.lightweight import LightweightLLMReranker

PAIRS = [
    ("where is the river?", "the river of light is in the garden of paris."),
    ("seven", "stone"),
    ("what is an engine", ""),
    ("", "a paper letter"),
    ("which question is the question of all the others, and not one answer?", "small words, " * 5),
]
PROMPT = "Predict whether passage B contains an answer to query A."


class ByHand:
    """The rules of the published code, one pair at a time."""

    def __init__(self, folder: Path) -> None:
        tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._ids = lambda text: tokenizer.encode(text, add_special_tokens=False).ids
        self._start = tokenizer.token_to_id("<s>")
        self._score = functools.cache(self._uncached)
        self._reference = checkpoints.Reference(folder)

    def ids(self, pair, max_length=512, query_max_length=None, prompt=PROMPT, before=("A: ", "B: ")):
        """Return all ids of a pair, and how many of them are never compressed at its start and at its end."""
        query, passage = (self._ids(instruction + text) for instruction, text in zip(before, pair, strict=True))
        query = query[: query_max_length or max_length * 3 // 4]
        start = [self._start, *query, *self._ids("\n")]
        end = [*self._ids("\n"), *self._ids(prompt)]
        room = max_length + len(end) - len(start)  # what comes at the end is not counted
        return [*start, *passage[:max_length][:room], *end], len(start), len(end)

    def scores(self, layer, head=0, ratio=1, compressed=(), pairs=PAIRS, **how):
        rows = [self.ids(pair, **how) for pair in pairs]
        return [self._score(tuple(ids), first, last, layer, head, ratio, compressed) for ids, first, last in rows]

    def _uncached(self, ids, first, last, layer, head, ratio, compressed):
        return self._reference.score(list(ids), first, last, layer, head, ratio=ratio, compressed=list(compressed))


@pytest.fixture(scope="module")
def folder(tiny, tmp_path_factory):
    """Nobody may change it."""
    return checkpoints.write_with_tokenizer(tmp_path_factory.mktemp("lightweight") / "model", tiny, num_hidden_layers=4)


@pytest.fixture(scope="module")
def by_hand(folder):
    return ByHand(folder)


@pytest.fixture(scope="module")
def reranker(folder):
    """Loaded once; nobody may change it."""
    return LightweightLLMReranker(str(folder), devices="cpu")


def close(found, right) -> None:
    assert found == [pytest.approx(row, abs=1e-5) for row in right]


def test_the_last_layer_unless_it_is_said(reranker, by_hand) -> None:
    found = reranker.compute_score(PAIRS)
    assert all(type(score) is float for score in found)
    close(found, by_hand.scores(4))


def test_one_pair_and_none(reranker, by_hand) -> None:
    close(reranker.compute_score(PAIRS[0]), by_hand.scores(4)[:1])
    assert reranker.compute_score([]) == []
    assert reranker.compute_score([], cutoff_layers=[2, 4]) == [[], []]


@pytest.mark.parametrize("layer", [2, [3], (4,)], ids=str)
def test_one_layer_gives_a_list_of_floats(reranker, by_hand, layer) -> None:
    number = layer if isinstance(layer, int) else layer[0]
    close(reranker.compute_score(PAIRS, cutoff_layers=layer), by_hand.scores(number))


@pytest.mark.parametrize("layers", [[2, 4], [4, 2, 3], [3, 3]], ids=str)
def test_several_layers_give_a_list_each_in_the_order_asked_for(reranker, by_hand, layers) -> None:
    ranks = [sorted(set(layers)).index(layer) for layer in layers]
    right = [by_hand.scores(layer, rank) for layer, rank in zip(layers, ranks, strict=True)]
    close(reranker.compute_score(PAIRS, cutoff_layers=layers), right)


def test_the_head_of_each_layer(folder, reranker, by_hand) -> None:
    right = [by_hand.scores(4, 2), by_hand.scores(2, 0)]
    close(reranker.compute_score(PAIRS, cutoff_layers=[4, 2], head="layer"), right)
    other = LightweightLLMReranker(str(folder), devices="cpu", cutoff_layers=[4, 2], head="layer")
    close(other.compute_score(PAIRS), right)
    close(other.compute_score(PAIRS, cutoff_layers=[4], head="position"), by_hand.scores(4, 0))


@pytest.mark.parametrize("name", ["compress_layers", "compress_layer"])
@pytest.mark.parametrize(("layers", "ratio"), [([1], 2), ([1, 3], 8)])
def test_compression(reranker, by_hand, name, layers, ratio) -> None:
    found = reranker.compute_score(PAIRS, compress_ratio=ratio, **{name: layers})
    close(found, by_hand.scores(4, ratio=ratio, compressed=tuple(layers)))


def test_options_of_the_constructor(folder, by_hand) -> None:
    options = {"cutoff_layers": [3], "compress_layers": [1], "compress_ratio": 4, "prompt": "the same?"}
    reranker = LightweightLLMReranker(str(folder), devices="cpu", batch_size=2, normalize=True, **options)
    assert {name: getattr(reranker, name) for name in options} == options
    right = by_hand.scores(3, ratio=4, compressed=(1,), prompt="the same?")
    close(reranker.compute_score(PAIRS), [1 / (1 + math.exp(-score)) for score in right])
    close(reranker.compute_score(PAIRS, normalize=False), right)
    changed = {"compress_layers": [2], "compress_ratio": 2, "prompt": "", "cutoff_layers": [4]}
    found = reranker.compute_score(PAIRS, normalize=False, **changed)
    close(found, by_hand.scores(4, ratio=2, compressed=(2,), prompt=""))
    close(reranker.compute_score(PAIRS, normalize=False), right)


def test_the_other_arguments_are_those_of_any_reranker(monkeypatch) -> None:
    seen = {}
    monkeypatch.setattr(LightweightLLMReranker, "_load", lambda _, **options: seen.update(options))
    given = {
        "use_fp16": True,
        "query_instruction_format": "{}q{}",
        "passage_instruction_format": "{}p{}",
        "batch_size": 3,
        "query_max_length": 9,
        "max_length": 50,
    }
    reranker = LightweightLLMReranker("model", devices="cpu", cache_dir="cache", revision="main", **given)
    assert {name: getattr(reranker, name) for name in given} == given
    assert (seen["cache_dir"], seen["revision"], seen["trust_remote_code"]) == ("cache", "main", False)
    with pytest.raises(DeviceError):
        LightweightLLMReranker("model", devices="cuda:99")


@pytest.mark.parametrize("lengths", [{"max_length": 30}, {"max_length": 40, "query_max_length": 7}], ids=str)
@pytest.mark.parametrize("ratio", [1, 4])
def test_long_texts_are_cut(reranker, by_hand, lengths, ratio) -> None:
    """What is cut is not compressed, and the query's part ends where it was cut."""
    assert len(by_hand.ids(PAIRS[4], **lengths)[0]) < len(by_hand.ids(PAIRS[4])[0])
    found = reranker.compute_score(PAIRS, compress_ratio=ratio, compress_layers=[2], **lengths)
    close(found, by_hand.scores(4, ratio=ratio, compressed=(2,), **lengths))


def test_no_pair_is_longer_than_the_model(tiny, tmp_path) -> None:
    folder = checkpoints.write_with_tokenizer(tmp_path, tiny, num_hidden_layers=2, max_position_embeddings=100)
    reranker = LightweightLLMReranker(str(folder), devices="cpu")
    longest = []
    reranker.model.register_forward_pre_hook(lambda _, given: longest.append(given[0].shape[1]))
    reranker.compute_score(PAIRS)
    assert max(longest) == 100


@pytest.mark.parametrize("batch_size", [1, 2, 100])
def test_a_score_does_not_depend_on_its_batch(reranker, by_hand, batch_size) -> None:
    options = {"cutoff_layers": [3, 4], "compress_layers": [1], "compress_ratio": 2, "batch_size": batch_size}
    how = {"ratio": 2, "compressed": (1,)}
    close(reranker.compute_score(PAIRS, **options), [by_hand.scores(3, 0, **how), by_hand.scores(4, 1, **how)])


def test_instructions(folder, by_hand) -> None:
    reranker = LightweightLLMReranker(
        str(folder), devices="cpu", query_instruction_for_rerank="query: ", passage_instruction_for_rerank=None
    )
    close(reranker.compute_score(PAIRS), by_hand.scores(4, before=("query: ", "")))


def test_half_precision(folder, by_hand) -> None:
    reranker = LightweightLLMReranker(str(folder), devices="cpu", use_bf16=True)
    assert reranker.model.dtype is torch.bfloat16
    assert reranker.compute_score(PAIRS) == pytest.approx(by_hand.scores(4), abs=1)
    assert LightweightLLMReranker(str(folder), devices="cpu", use_fp16=True).model.dtype is torch.float32


def test_documents_are_ranked_by_one_layer(reranker, by_hand) -> None:
    query, documents = PAIRS[0][0], [passage for _, passage in PAIRS]
    right = by_hand.scores(3, pairs=[(query, text) for text in documents])
    ranked = reranker.rank(query, documents, cutoff_layers=[3])
    assert [each["index"] for each in ranked] == sorted(range(5), key=lambda index: -right[index])
    with pytest.raises(OptionError, match="several layers"):
        reranker.rank(query, documents, cutoff_layers=[2, 3])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cutoff_layers": [1]}, r"1 is no layer here\. Those that have a head are 2 to 4\."),
        ({"compress_ratio": 2}, r"compress_layers=\(8,\): 8 is no layer here\. Those that can compress are 1 to 3\."),
        ({"compress_ratio": 5}, r"compress_ratio=5 must be 1"),
        ({"head": "nearest"}, "head='nearest' is not known"),
    ],
    ids=str,
)
def test_options_that_cannot_be(folder, reranker, options, message) -> None:
    with pytest.raises(OptionError, match=message):
        reranker.compute_score(PAIRS, **options)
    with pytest.raises(OptionError, match=message):
        LightweightLLMReranker(str(folder), devices="cpu", **options)


def test_both_names_of_the_compressed_layers(reranker) -> None:
    with pytest.raises(OptionError, match="compress_layers= or compress_layer=, not both"):
        reranker.compute_score(PAIRS, compress_layers=[1], compress_layer=[1])


def test_unknown_options(folder, reranker) -> None:
    with pytest.raises(OptionError, match="'cutoff_layers'"):
        reranker.compute_score(PAIRS, cutof_layers=[2])
    with pytest.raises(OptionError, match="'compress_ratio'"):
        LightweightLLMReranker(str(folder), devices="cpu", compres_ratio=2)


@pytest.mark.parametrize("trust", [True, False])
def test_code_in_the_folder_never_runs(tiny, tmp_path, trust) -> None:
    folder = checkpoints.write_with_tokenizer(tmp_path / "model", tiny, num_hidden_layers=2)
    for name in ("gemma_model.py", "gemma_config.py"):
        (folder / name).write_text(f"open({str(tmp_path / 'ran')!r}, 'w').close()\n")
    reranker = LightweightLLMReranker(str(folder), devices="cpu", trust_remote_code=trust)
    assert len(reranker.compute_score(PAIRS)) == 5
    assert not (tmp_path / "ran").exists()


def test_an_adapter_is_merged_into_the_network(folder, by_hand, monkeypatch) -> None:
    def doubled(model, path):
        assert path == "adapter"
        model.lm_head[0]["linear_head"].weight.mul_(-1)
        return model

    monkeypatch.setattr(lightweight, "with_adapter", doubled)
    reranker = LightweightLLMReranker(str(folder), "adapter", devices="cpu")
    close(reranker.compute_score(PAIRS), [-score for score in by_hand.scores(4)])


def test_a_checkpoint_of_another_kind(tiny, tmp_path) -> None:
    folder = checkpoints.write_with_tokenizer(tmp_path, tiny, num_hidden_layers=2)
    (folder / "config.json").write_text(json.dumps({**checkpoints.CONFIG, "model_type": "gemma2"}))
    with pytest.raises(CheckpointError, match="model_type is not 'cost_wise_gemma'"):
        LightweightLLMReranker(str(folder), devices="cpu")


def test_positional_arguments_are_in_the_order_of_the_package_on_pypi() -> None:
    parameters = inspect.signature(LightweightLLMReranker).parameters
    positional = [name for name, each in parameters.items() if each.kind is each.POSITIONAL_OR_KEYWORD]
    assert positional == [
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
        "cutoff_layers",
        "compress_layers",
        "compress_ratio",
        "prompt",
        "batch_size",
        "query_max_length",
        "max_length",
        "normalize",
    ]
    defaults = {name: parameters[name].default for name in ("compress_layers", "compress_ratio", "cutoff_layers")}
    assert defaults == {"compress_layers": (8,), "compress_ratio": 1, "cutoff_layers": None}
    assert LightweightLLMReranker.default_prompt == PROMPT
