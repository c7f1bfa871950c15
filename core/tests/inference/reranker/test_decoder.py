"""Language models as rerankers: the logit of "Yes" that plain transformers gives, and no other logit."""

from __future__ import annotations

import math
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from FlagEmbedding import FlagLLMReranker
from FlagEmbedding.inference.reranker.decoder_only.base import BaseLLMReranker

PASSAGE = "the river of stone, light seven garden. window paper (letter) zürich 東京 <pad> q"
WORDS = PASSAGE.split()

PAIRS = [
    ("where is the river?", "The question in the garden window, and all of the answer."),
    ("river", "stone"),
    ("stone", "river"),
    ("", "paper"),
    ("paper", ""),
    ("", ""),
    ("one of the <s> tokens\n", "</s> in <pad> a text\n\n"),
    ("zürich naïve straße", "москва 東京 北京 👩‍🔬 \0"),
    ("q", "light " * 40),
]

a_text = st.lists(st.sampled_from(WORDS), max_size=9).map(" ".join) | st.text(st.characters(codec="utf-8"), max_size=9)
some_pairs = st.lists(st.tuples(a_text, a_text), min_size=1, max_size=6)

# Each that the core claims, and some that scale or cap their logits in ways of their own.
CLAIMED = (
    "gemma",
    "gemma2",
    "gemma3_text",
    "gpt2",
    "gpt_neox",
    "llama",
    "mistral",
    "opt",
    "phi",
    "phi3",
    "qwen2",
    "qwen3",
)
TYPES = (*CLAIMED, "cohere", "granite")


def assert_same(found, expected, tolerance=1e-5):
    assert [type(score) for score in found] == [float] * len(expected)
    assert max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= tolerance


def test_its_names():
    assert FlagLLMReranker is BaseLLMReranker


@pytest.mark.parametrize("kind", TYPES)
def test_scores_are_those_of_transformers(llm_reranker, plain_llm, kind):
    assert_same(llm_reranker(kind).compute_score(PAIRS), plain_llm(kind).scores(PAIRS))


def test_logits_that_are_capped_scaled_or_shifted(tiny, tmp_path, plain_language_model):
    """Gemma 2 caps (the lower, the more of it one sees), Granite divides, Cohere multiplies, Phi has a bias."""
    options = {
        "gemma2": {"final_logit_softcapping": 2.0},
        "granite": {"logits_scaling": 8.0},
        "cohere": {"logit_scale": 3.0},
        "phi": {},
    }
    for kind, config in options.items():
        folder = tiny.build_language_model(tmp_path / kind, kind, **config)
        found = FlagLLMReranker(str(folder)).compute_score(PAIRS)
        assert_same(found, plain_language_model(folder).scores(PAIRS))
        assert kind != "gemma2" or 1.5 < max(map(abs, found)) < 2


@pytest.mark.parametrize("kind", ["gemma", "qwen2"])
def test_no_other_row_of_the_vocabulary_is_computed(language_model, kind):
    model = FlagLLMReranker(str(language_model(kind)))
    calls = []
    for module in (model.model, model.model.get_output_embeddings()):
        module.register_forward_hook(lambda *_: calls.append(1))
    model.compute_score(PAIRS)
    assert calls == []


@pytest.mark.parametrize(("words", "row"), [((), "Y"), (("Yes",), "Yes"), (("Ye",), "Ye")])
def test_yes_is_the_first_token_of_that_word(tiny, tmp_path, plain_language_model, words, row):
    folder = tiny.build_language_model(tmp_path / "model", "mistral", words=words)
    model, plain = FlagLLMReranker(str(folder)), plain_language_model(folder)
    assert model.yes_loc == plain.tokenizer.convert_tokens_to_ids(row)
    assert_same(model.compute_score(PAIRS), plain.scores(PAIRS))


@pytest.mark.parametrize("kind", ["gemma2", "mistral", "qwen2", "opt"])
@settings(max_examples=10)
@given(pairs=some_pairs, batch_size=st.integers(1, 7), data=st.data())
def test_company_batch_size_and_order(llm_reranker, kind, pairs, batch_size, data):
    model = llm_reranker(kind)
    alone = [model.compute_score(pair)[0] for pair in pairs]
    order = data.draw(st.permutations(range(len(pairs))))
    together = model.compute_score([pairs[index] for index in order], batch_size=batch_size)
    assert_same(together, [alone[index] for index in order])


def test_duplicates(llm_reranker):
    pairs = [PAIRS[0], PAIRS[3], PAIRS[0], PAIRS[8], PAIRS[0]] * 9
    alone = {pair: llm_reranker("qwen2").compute_score(pair)[0] for pair in pairs}
    assert_same(llm_reranker("qwen2").compute_score(pairs), [alone[pair] for pair in pairs])


@pytest.mark.parametrize("pair", [("river", "stone"), ["river", "stone"], [("river", "stone")]])
def test_one_pair_gives_a_list_of_one(llm_reranker, plain_llm, pair):
    assert_same(llm_reranker("gemma").compute_score(pair), plain_llm("gemma").scores([("river", "stone")]))


@pytest.mark.parametrize("options", [{}, {"normalize": True}, {"prompt": "?"}])
def test_no_pairs_give_no_scores(llm_reranker, options):
    assert llm_reranker("gemma").compute_score([], **options) == []


@pytest.mark.parametrize("where", ["constructor", "call"])
def test_normalised_scores_are_sigmoids(language_model, llm_reranker, where):
    option = {"normalize": True}
    model = FlagLLMReranker(str(language_model("gemma")), **(option if where == "constructor" else {}))
    found = model.compute_score(PAIRS, **(option if where == "call" else {}))
    expected = [1 / (1 + math.exp(-score)) for score in llm_reranker("gemma").compute_score(PAIRS)]
    assert_same(found, expected, tolerance=1e-12)


def test_bfloat16_on_a_cpu_when_asked_for(language_model, llm_reranker):
    model = FlagLLMReranker(str(language_model("qwen2")), use_bf16=True, devices="cpu")
    found, expected = model.compute_score(PAIRS), llm_reranker("qwen2").compute_score(PAIRS)
    assert str(model.model.dtype) == "torch.bfloat16"
    assert 1e-5 < max(abs(one - other) for one, other in zip(found, expected, strict=True)) < 0.2


def test_threads_that_share_a_model(llm_reranker):
    pairs = [(" ".join(WORDS[:length]), " ".join(WORDS[:length]) * 20) for length in range(1, len(WORDS), 2)]
    lengths = [5, 6, 7, 8, 9, 10, 11, 12]
    prompts = ["Yes?" * (index + 1) for index in range(len(lengths))]
    model = llm_reranker("qwen2")
    runs = [{"max_length": length, "prompt": prompt} for length, prompt in zip(lengths, prompts, strict=True)]
    expected = [model.compute_score(pairs, **run) for run in runs]
    together = threading.Barrier(len(runs))

    def distance(index):
        together.wait()
        found = [model.compute_score(pairs, **runs[index]) for _ in range(3)]
        return max(np.abs(np.array(scores) - expected[index]).max() for scores in found)

    with ThreadPoolExecutor(len(runs)) as pool:
        assert max(pool.map(distance, range(len(runs)))) <= 1e-5
    assert len({tuple(scores) for scores in expected}) == len(runs)
