"""What programs written for FlagEmbedding 1.4.2 do with rerankers, call by call."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import transformers

from FlagEmbedding import (
    AbsReranker,
    FlagAutoReranker,
    FlagLLMReranker,
    FlagReranker,
    LayerWiseFlagLLMReranker,
    LightWeightFlagLLMReranker,
)
from FlagEmbedding.errors import InputError, OptionError
from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING, RerankerConfig, RerankerModelClass

PAIRS = [
    ["what is panda?", "hi"],
    ["what is panda?", "The giant panda is a bear of the garden, all in one letter and a river."],
    ["river", ""],
    ["", "stone"],
]


@pytest.fixture(scope="module")
def path(rerankers: dict[str, Path]) -> str:
    return str(rerankers["xlm-roberta"])


class Reference:
    """transformers' own classifier, one pair at a time."""

    def __init__(self, path: str) -> None:
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(path)
        kind = transformers.AutoModelForSequenceClassification
        self._model = kind.from_pretrained(path, dtype=torch.float32).eval()

    def __call__(self, query: str, passage: str, **cut: Any) -> float:
        with torch.no_grad():
            # as lists: transformers takes an empty second text for none where it is given alone
            return self._model(**self.tokenizer([query], [passage], return_tensors="pt", **cut)).logits.item()


@pytest.fixture(scope="module")
def expected(path: str) -> list[float]:
    reference = Reference(path)
    return [reference(*pair) for pair in PAIRS]


@pytest.fixture(scope="module")
def reranker(path: str) -> FlagReranker:
    return FlagReranker(path, use_fp16=True, devices="cpu")


def test_one_pair(reranker, expected) -> None:
    score = reranker.compute_score(["what is panda?", "hi"])
    assert score == pytest.approx([expected[0]], abs=1e-5)
    assert [type(value) for value in score] == [float]  # a list also for one pair, as 1.4.2 gives
    assert reranker.compute_score(("what is panda?", "hi")) == score


def test_several_pairs(reranker, expected) -> None:
    assert reranker.compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)
    assert reranker.compute_score([tuple(pair) for pair in PAIRS]) == pytest.approx(expected, abs=1e-5)
    assert reranker.compute_score(sentence_pairs=PAIRS) == pytest.approx(expected, abs=1e-5)


def test_none_at_all(reranker) -> None:
    assert reranker.compute_score([]) == []


def test_pairs_in_other_containers(reranker, expected) -> None:
    queries, passages = zip(*PAIRS, strict=True)
    for pairs in (zip(queries, passages, strict=True), np.array(PAIRS), tuple(map(tuple, PAIRS)), iter(PAIRS)):
        assert reranker.compute_score(pairs) == pytest.approx(expected, abs=1e-5)


def test_normalize(path, reranker, expected) -> None:
    likely = [1 / (1 + math.exp(-score)) for score in expected]
    assert reranker.compute_score(PAIRS, normalize=True) == pytest.approx(likely, abs=1e-6)
    always = FlagReranker(path, normalize=True, devices="cpu")
    assert always.compute_score(PAIRS) == pytest.approx(likely, abs=1e-6)
    assert always.compute_score(PAIRS, normalize=False) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 256, None])
def test_batch_size(path, reranker, expected, batch_size) -> None:
    assert reranker.compute_score(PAIRS, batch_size=batch_size) == pytest.approx(expected, abs=1e-5)
    if batch_size is not None:
        other = FlagReranker(path, batch_size=batch_size, devices="cpu")
        assert other.compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)


def words(word: str, count: int) -> str:
    """Return a text of so many tokens."""
    return " ".join([word] * count)


def test_max_length(path, reranker) -> None:
    pair, wanted = (words("river", 3), words("stone", 30)), Reference(path)(words("river", 3), words("stone", 13))
    assert reranker.compute_score(pair, max_length=20) == pytest.approx([wanted], abs=1e-5)
    assert FlagReranker(path, max_length=20, devices="cpu").compute_score(pair) == pytest.approx([wanted], abs=1e-5)
    assert reranker.compute_score(pair) != pytest.approx([wanted], abs=1e-3)


def test_query_max_length(path, reranker) -> None:
    pair = ("the river of light is in the garden", "stone")
    wanted = Reference(path)("the river", "stone")
    assert reranker.compute_score(pair, query_max_length=2) == pytest.approx([wanted], abs=1e-5)
    other = FlagReranker(path, query_max_length=2, devices="cpu")
    assert other.compute_score(pair) == pytest.approx([wanted], abs=1e-5)
    assert reranker.compute_score(pair) != pytest.approx([wanted], abs=1e-3)


def test_three_quarters_of_the_length_are_the_querys(path, reranker) -> None:
    pair, wanted = (words("river", 30), words("stone", 30)), Reference(path)(words("river", 24), words("stone", 4))
    assert reranker.compute_score(pair, max_length=32) == pytest.approx([wanted], abs=1e-5)


@pytest.mark.parametrize("option", [{"devices": "cpu"}, {"devices": ["cpu"]}, {"device": "cpu"}, {}])
def test_devices(path, expected, monkeypatch, option) -> None:
    for kind in ("cuda", "xpu", "backends.mps"):
        monkeypatch.setattr(f"torch.{kind}.is_available", lambda: False)
    assert FlagReranker(path, **option).compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("key", ["encoder-only-base", RerankerModelClass.ENCODER_ONLY_BASE])
def test_the_class_by_its_key(path, expected, key) -> None:
    reranker = FlagAutoReranker.from_finetuned(path, model_class=key, devices="cpu")
    assert type(reranker) is FlagReranker
    assert reranker.compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)


def test_the_keys_are_the_ones_of_the_classes() -> None:
    assert [(key.name, key.value) for key in RerankerModelClass] == [
        ("ENCODER_ONLY_BASE", "encoder-only-base"),
        ("DECODER_ONLY_BASE", "decoder-only-base"),
        ("DECODER_ONLY_LAYERWISE", "decoder-only-layerwise"),
        ("DECODER_ONLY_LIGHTWEIGHT", "decoder-only-lightweight"),
    ]
    assert RerankerModelClass("decoder-only-base") is RerankerModelClass.DECODER_ONLY_BASE


@pytest.mark.parametrize(
    ("key", "architecture", "model_class"),
    [
        ("decoder-only-base", "gemma", FlagLLMReranker),
        ("decoder-only-layerwise", "minicpm", LayerWiseFlagLLMReranker),
        ("decoder-only-lightweight", "cost_wise_gemma", LightWeightFlagLLMReranker),
    ],
)
def test_every_class_by_its_key(rerankers, key, architecture, model_class) -> None:
    folder = str(rerankers[architecture])
    reranker = FlagAutoReranker.from_finetuned(folder, model_class=RerankerModelClass(key), devices="cpu")
    assert type(reranker) is model_class
    assert reranker.compute_score(PAIRS) == model_class(folder, devices="cpu").compute_score(PAIRS)


@pytest.fixture
def a_copy(path: str, tmp_path: Path) -> Iterator[Path]:
    """A checkpoint in a folder of the name ``mine``, which is registered for as long as the test runs."""
    (tmp_path / "mine").symlink_to(path)
    yield tmp_path / "mine"
    if "mine" in AUTO_RERANKER_MAPPING:
        del AUTO_RERANKER_MAPPING["mine"]


def test_a_model_of_ones_own(a_copy, expected) -> None:
    AUTO_RERANKER_MAPPING["mine"] = RerankerConfig(FlagReranker)
    assert AUTO_RERANKER_MAPPING["mine"].model_class is FlagReranker
    assert AUTO_RERANKER_MAPPING["mine"].trust_remote_code is False
    assert list(AUTO_RERANKER_MAPPING)[-1] == "mine"
    reranker = FlagAutoReranker.from_finetuned(str(a_copy), use_fp16=False, devices=["cpu"])
    assert reranker.compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)


class Overlap(AbsReranker):
    """Scores a pair by the words that both texts have: no network at all."""

    def __init__(self, model_name_or_path: str, **kwargs: Any) -> None:
        super().__init__(model_name_or_path, **kwargs)
        self.seen: list[Any] = []

    def compute_score_single_gpu(
        self, sentence_pairs, batch_size=None, query_max_length=None, max_length=None, normalize=None, device=None
    ):
        self.seen.append((batch_size, device))
        return [float(len(set(query.split()) & set(passage.split()))) for query, passage in sentence_pairs]


def test_a_class_of_ones_own(a_copy) -> None:
    AUTO_RERANKER_MAPPING["mine"] = RerankerConfig(Overlap)
    reranker = FlagAutoReranker.from_finetuned(str(a_copy), devices="cpu", batch_size=7)
    assert (type(reranker), reranker.batch_size, reranker.use_fp16) == (Overlap, 7, False)
    assert reranker.compute_score([["a b", "b a c"], ["a", "b"]], batch_size=3) == [2.0, 0.0]
    assert reranker.compute_score(["a b", "b c"]) == [1.0]
    assert reranker.seen == [(3, "cpu"), (None, "cpu")]
    assert [hit["text"] for hit in reranker.rank("a b", ["c", "a b", "b"])] == ["a b", "b", "c"]
    with pytest.raises(OptionError, match=r"unknown option 'batchsize'.*batch_size"):
        FlagAutoReranker.from_finetuned(str(a_copy), batchsize=7)


def test_a_class_of_ones_own_gets_the_instructions(path) -> None:
    reranker = Overlap(path, devices="cpu", query_instruction_for_rerank="find", query_instruction_format="{} {}")
    assert reranker.compute_score([["a", "find a"], ["a", "a"]]) == [2.0, 1.0]


def test_a_subclass_of_a_reranker(path, expected) -> None:
    class Doubled(FlagReranker):
        def compute_score_single_gpu(self, sentence_pairs, **kwargs):
            return [2 * score for score in super().compute_score_single_gpu(sentence_pairs, **kwargs)]

    found = Doubled(path, devices="cpu").compute_score(PAIRS)
    assert found == pytest.approx([2 * score for score in expected], abs=1e-5)


def test_instructions(path) -> None:
    reranker = FlagReranker(
        path,
        query_instruction_for_rerank="query",
        query_instruction_format="{}: {}",
        passage_instruction_for_rerank="the ",
        passage_instruction_format="{}{}",
        devices="cpu",
    )
    reference = Reference(path)
    wanted = [reference(f"query: {query}", f"the {passage}") for query, passage in PAIRS]
    assert reranker.compute_score(PAIRS) == pytest.approx(wanted, abs=1e-5)
    assert reranker.get_detailed_instruct("{}\\n{}", "a", "b") == "a\nb"
    assert [list(pair) for pair in reranker.get_detailed_inputs(PAIRS[:1])] == [["query: what is panda?", "the hi"]]


def test_a_setting_that_is_changed_counts_from_then_on(path) -> None:
    reranker = FlagReranker(path, devices="cpu")
    reranker.max_length, reranker.normalize, reranker.batch_size = 20, True, 1
    wanted = Reference(path)(words("river", 3), words("stone", 13))
    found = reranker.compute_score((words("river", 3), words("stone", 30)))
    assert found == pytest.approx([1 / (1 + math.exp(-wanted))], abs=1e-6)


@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_instances_can_be_copied_and_pickled(reranker, expected, again) -> None:
    assert again(reranker).compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)


def test_what_programs_do_with_the_scores(reranker, expected) -> None:
    scores = reranker.compute_score(PAIRS)
    assert json.loads(json.dumps(scores)) == scores
    assert list(np.argsort(scores)[::-1]) == sorted(range(4), key=lambda index: -expected[index])
    assert [pair for _, pair in sorted(zip(scores, PAIRS, strict=True))][-1] == PAIRS[int(np.argmax(expected))]


def test_the_tokenizer_and_the_network_are_there(reranker, path) -> None:
    assert reranker.model.config.num_labels == 1
    assert reranker.tokenizer("river", "stone")["input_ids"] == Reference(path).tokenizer("river", "stone")["input_ids"]
    assert (reranker.model_name_or_path, reranker.target_devices) == (path, ["cpu"])


@pytest.mark.parametrize(
    ("load", "names"),
    [
        (FlagAutoReranker.from_finetuned, {"model_class", "use_fp16", "trust_remote_code"}),
        (FlagReranker, {"use_fp16", "devices", "cache_dir", "batch_size", "query_max_length", "max_length"}),
        (FlagLLMReranker, {"peft_path", "use_bf16", "prompt", "query_instruction_for_rerank", "normalize"}),
        (LayerWiseFlagLLMReranker, {"peft_path", "cutoff_layers", "prompt", "max_length"}),
        (LightWeightFlagLLMReranker, {"cutoff_layers", "compress_layers", "compress_ratio", "prompt"}),
    ],
)
def test_named_parameters(load, names) -> None:
    assert names <= {*inspect.signature(load).parameters}


def test_a_language_model(rerankers) -> None:
    reranker = FlagLLMReranker(str(rerankers["gemma"]), use_fp16=True, devices="cpu")
    scores = reranker.compute_score(PAIRS)
    assert reranker.compute_score(PAIRS[0]) == pytest.approx(scores[:1], abs=1e-5)
    assert reranker.compute_score(PAIRS, use_dataloader=True, num_workers=0) == pytest.approx(scores, abs=1e-5)
    asked = reranker.compute_score(PAIRS, prompt="Do A and B have the same meaning?")
    assert asked != pytest.approx(scores, abs=1e-3)
    constructed = FlagLLMReranker(
        str(rerankers["gemma"]), prompt="Do A and B have the same meaning?", use_bf16=False, devices="cpu"
    )
    assert constructed.compute_score(PAIRS) == pytest.approx(asked, abs=1e-5)


def test_a_language_model_in_bfloat16(rerankers) -> None:
    exact = FlagLLMReranker(str(rerankers["gemma"]), devices="cpu").compute_score(PAIRS)
    halved = FlagLLMReranker(str(rerankers["gemma"]), use_bf16=True, devices="cpu").compute_score(PAIRS)
    assert halved == pytest.approx(exact, abs=0.2)
    assert halved != exact


def test_layers(rerankers) -> None:
    reranker = LayerWiseFlagLLMReranker(str(rerankers["minicpm"]), use_fp16=True, devices="cpu")
    last = reranker.compute_score(PAIRS)
    assert len(last) == len(PAIRS)
    assert reranker.compute_score(PAIRS, cutoff_layers=[5]) == pytest.approx(last, abs=1e-5)
    third = reranker.compute_score(PAIRS, cutoff_layers=[3])
    assert third != pytest.approx(last, abs=1e-3)
    several = reranker.compute_score(PAIRS, cutoff_layers=[3, 5])
    assert [len(scores) for scores in several] == [4, 4]
    assert several[0] == pytest.approx(third, abs=1e-5)
    assert several[1] == pytest.approx(last, abs=1e-5)
    constructed = LayerWiseFlagLLMReranker(str(rerankers["minicpm"]), cutoff_layers=[3], devices="cpu")
    assert constructed.compute_score(PAIRS) == pytest.approx(third, abs=1e-5)


def test_compression(rerankers) -> None:
    reranker = LightWeightFlagLLMReranker(str(rerankers["cost_wise_gemma"]), use_fp16=True, devices="cpu")
    plain = reranker.compute_score(PAIRS, cutoff_layers=[5])
    squeezed = reranker.compute_score(PAIRS, cutoff_layers=[5], compress_ratio=2, compress_layers=[2, 4])
    assert squeezed[1] != pytest.approx(plain[1], abs=1e-3)  # a passage of some length
    assert reranker.compute_score(PAIRS, cutoff_layers=[5], compress_ratio=2, compress_layer=[2, 4]) == squeezed
    constructed = LightWeightFlagLLMReranker(
        str(rerankers["cost_wise_gemma"]), cutoff_layers=[5], compress_ratio=2, compress_layers=[2, 4], devices="cpu"
    )
    assert constructed.compute_score(PAIRS) == pytest.approx(squeezed, abs=1e-5)


def test_the_arguments_that_1_4_2s_evaluation_gives(rerankers) -> None:
    """It names every argument of every class, the instructions as None; the lightweight class takes them all."""
    reranker = FlagAutoReranker.from_finetuned(
        model_name_or_path=str(rerankers["cost_wise_gemma"]),
        model_class=None,
        peft_path=None,
        use_fp16=True,
        use_bf16=False,
        query_instruction_for_rerank=None,
        query_instruction_format="{}{}",
        passage_instruction_for_rerank=None,
        passage_instruction_format="{}{}",
        cache_dir=None,
        trust_remote_code=False,
        devices=["cpu"],
        normalize=False,
        prompt=None,
        cutoff_layers=None,
        compress_layers=[3],
        compress_ratio=1,
        batch_size=128,
        query_max_length=None,
        max_length=512,
    )
    reranker.model.config._name_or_path = "mine"  # it writes the name there, and reads it
    assert len(reranker.compute_score(PAIRS)) == len(PAIRS)


def test_an_option_of_another_class_is_refused_by_name(path, reranker) -> None:
    """1.4.2 keeps it as an attribute, or gives it to the tokenizer."""
    with pytest.raises(OptionError, match="unknown option 'cutoff_layers'"):
        FlagReranker(path, cutoff_layers=[28])
    with pytest.raises(OptionError, match="unknown option 'cutoff_layers'"):
        reranker.compute_score(PAIRS, cutoff_layers=[28])
    with pytest.raises(OptionError, match=r"unknown option 'max_len'.*max_length"):
        reranker.compute_score(PAIRS, max_len=512)


@pytest.mark.parametrize("pairs", ["river", ["river"], [["river"]], [["a", "b", "c"]], [["a", None]], {"a": "b"}, None])
def test_what_is_no_pair_is_refused(reranker, pairs) -> None:
    with pytest.raises(InputError, match="sentence_pairs"):
        reranker.compute_score(pairs)
