"""Rerankers that these tests share, and what plain transformers makes of their checkpoints, one pair at a time."""

from __future__ import annotations

import functools

import pytest
import torch
import transformers

from FlagEmbedding import FlagLLMReranker, FlagReranker


class PlainClassifier:
    """transformers' own calls on the checkpoint of a cross-encoder: nothing padded, nothing of ours."""

    def __init__(self, folder):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float32).eval()

    def score(self, query, passage, max_length=10_000):
        # In lists: the tokenizer's call for one pair takes an empty passage for none.
        inputs = self.tokenizer([query], [passage], truncation=True, max_length=max_length, return_tensors="pt")
        with torch.no_grad():
            return self.model(**inputs).logits.item()

    def scores(self, pairs, max_length=10_000):
        return [self.score(query, passage, max_length) for query, passage in pairs]


@pytest.fixture(scope="session")
def cross_encoder(tiny, tmp_path_factory):
    """``cross_encoder("bert")`` is the folder of that model, built once; nobody may change it."""
    root = tmp_path_factory.mktemp("cross-encoders")
    return functools.cache(lambda model_type: tiny.build_classifier(root / model_type, model_type))


@pytest.fixture(scope="session")
def reranker(cross_encoder):
    """``reranker("bert")`` is loaded once; nobody may change it."""
    return functools.cache(lambda model_type: FlagReranker(str(cross_encoder(model_type)), devices="cpu"))


@pytest.fixture(scope="session")
def plain(cross_encoder):
    """``plain("bert")`` is what transformers makes of ``cross_encoder("bert")``."""
    return functools.cache(lambda model_type: PlainClassifier(cross_encoder(model_type)))


@pytest.fixture(scope="session")
def plain_classifier():
    """The reference for a folder of the test's own."""
    return PlainClassifier


PROMPT = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a "
    "prediction of either 'Yes' or 'No'."
)


class PlainLanguageModel:
    """transformers' own calls on the checkpoint of a language model: ids put together by hand, all logits computed."""

    def __init__(self, folder):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def ids(self, text):
        return self.tokenizer(text, add_special_tokens=False)["input_ids"]

    def pair(self, query, passage, *, prompt=PROMPT, max_length=10_000, query_max_length=10_000):
        """The ids of a pair, instructions included, as FlagEmbedding's published code puts them together."""
        first = self.ids(query)[:query_max_length]
        if self.tokenizer.bos_token_id is not None:
            first = [self.tokenizer.bos_token_id, *first]
        second = [*self.ids("\n"), *self.ids(passage)[:max_length]]
        end = [*self.ids("\n"), *self.ids(prompt)]
        return [*first, *second[: max_length + len(end) - len(first)], *end]

    def logit(self, ids, word="Yes"):
        with torch.no_grad():
            return self.model(input_ids=torch.tensor([ids])).logits[0, -1, self.ids(word)[0]].item()

    def scores(self, pairs, prompt=PROMPT):
        return [self.logit(self.pair(f"A: {query}", f"B: {passage}", prompt=prompt)) for query, passage in pairs]


@pytest.fixture(scope="session")
def language_model(tiny, tmp_path_factory):
    """``language_model("gemma2")`` is the folder of that model, built once; nobody may change it."""
    root = tmp_path_factory.mktemp("language-models")
    return functools.cache(
        lambda model_type: tiny.build_language_model(
            root / model_type, model_type, start=not model_type.startswith("qwen")
        )
    )


@pytest.fixture(scope="session")
def llm_reranker(language_model):
    """``llm_reranker("gemma2")`` is loaded once; nobody may change it."""
    return functools.cache(lambda model_type: FlagLLMReranker(str(language_model(model_type)), devices="cpu"))


@pytest.fixture(scope="session")
def plain_llm(language_model):
    """``plain_llm("gemma2")`` is what transformers makes of ``language_model("gemma2")``."""
    return functools.cache(lambda model_type: PlainLanguageModel(language_model(model_type)))


@pytest.fixture(scope="session")
def plain_language_model():
    """The reference for a folder of the test's own."""
    return PlainLanguageModel
