"""The rerankers against the card's procedure, assembled here a second time: ids byte for byte, log-odds, P(yes)."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import tokenizers
import torch
import transformers

from FlagEmbedding import FlagAutoReranker, FlagLLMReranker
from FlagEmbedding.errors import CheckpointError, OptionError
from flagembedding_qwen3.reranker import Qwen3Reranker

NAMES = ["Qwen3-Reranker-0.6B", "Qwen3-Reranker-4B", "Qwen3-Reranker-8B"]
CHAT = ("<|im_start|>", "<|im_end|>", "<think>", "</think>", "yes", "no")
TASK = "Given a web search query, retrieve relevant passages that answer the query"

# As on the model card, with its escapes.
PREFIX = (
    "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
    'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
)
SUFFIX = "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
MIDDLE = "<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {doc}"

PAIRS = [
    ("river", "the river of light is in the garden of paris."),
    ("where is the seven stone garden?", "a small engine"),
    (" a query after a space\n", "\n\nand a document\tafter lines "),
    ("東京 {braces} {0}", "one letter from 東京, as of the window, " * 4),
    ("no", ""),
]


@pytest.fixture(scope="module")
def folder(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint of the models' architecture and vocabulary, under a name of theirs; nobody may change it."""
    return write(tiny, tmp_path_factory.mktemp("qwen3") / NAMES[0])


def write(tiny: Any, folder: Path, words: tuple[str, ...] = CHAT) -> Path:
    tiny.build_language_model(folder, "qwen3", start=False, words=words)
    tiny.change_json(folder / "tokenizer_config.json", model_max_length=131072, padding_side="left")
    return folder


@pytest.fixture(scope="module")
def reranker(folder: Path) -> Any:
    return FlagAutoReranker.from_finetuned(folder, devices="cpu")


class Card:
    """The procedure of the card, one pair at a time: tokenizers for the ids, transformers for all the logits."""

    def __init__(self, folder: Path) -> None:
        self._tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()

    def _encoded(self, text: str) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids

    def ids(self, query: str, doc: str, max_length: int = 8192, instruction: str = TASK) -> list[int]:
        before, after = self._encoded(PREFIX), self._encoded(SUFFIX)
        middle = self._encoded(MIDDLE.format(instruction=instruction, query=query, doc=doc))
        return before + middle[: max_length - len(before) - len(after)] + after

    def answers(self, *arguments: Any, **options: Any) -> torch.Tensor:
        """Return the logits of "no" and "yes" at the last position, float64."""
        with torch.no_grad():
            last = self._model(input_ids=torch.tensor([self.ids(*arguments, **options)])).logits[0, -1].double()
        return last[[self._tokenizer.token_to_id(answer) for answer in ("no", "yes")]]

    def batch(self, pairs: list[tuple[str, str]]) -> list[float]:
        """Return P(yes) of each, all in one forward and padded on the left, as the card's code does."""
        rows = [self.ids(*pair) for pair in pairs]
        width = max(map(len, rows))
        ids = torch.tensor([[0] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        with torch.no_grad():
            last = self._model(input_ids=ids, attention_mask=mask).logits[:, -1].double()
        answers = [self._tokenizer.token_to_id(answer) for answer in ("no", "yes")]
        return torch.log_softmax(last[:, answers], dim=1)[:, 1].exp().tolist()

    def log_odds(self, *arguments: Any, **options: Any) -> float:
        no, yes = self.answers(*arguments, **options).tolist()
        return yes - no

    def probability(self, *arguments: Any, **options: Any) -> float:
        return torch.log_softmax(self.answers(*arguments, **options), dim=0)[1].exp().item()


@pytest.fixture(scope="module")
def card(folder: Path) -> Card:
    return Card(folder)


@pytest.fixture
def seen(reranker: Any) -> Iterator[list[int]]:
    """The ids that go into the network."""
    ids: list[int] = []
    embedding = reranker.model.get_input_embeddings()
    hook = embedding.register_forward_pre_hook(lambda _, inputs: ids.extend(inputs[0].flatten().tolist()))
    yield ids
    hook.remove()


@pytest.mark.parametrize("pair", PAIRS)
def test_the_ids_are_the_cards(reranker, card, seen, pair) -> None:
    reranker.compute_score(pair)
    assert seen == card.ids(*pair)


def test_the_layout_as_one_text(folder, seen, reranker) -> None:
    """What the ids say, read back: nothing before, between or after but what the card has."""
    reranker.compute_score(("river", "the light"))
    text = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json")).decode(seen, skip_special_tokens=False)
    assert text == (
        "<|im_start|>system\nJudge whether the Document meets the requirements based on the Query and the Instruct "
        'provided. Note that the answer can only be "yes" or "no".<|im_end|>\n<|im_start|>user\n'
        "<Instruct>: Given a web search query, retrieve relevant passages that answer the query\n"
        "<Query>: river\n<Document>: the light"
        "<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
    )


@pytest.mark.parametrize("name", NAMES)
def test_by_each_name(folder, card, monkeypatch, name) -> None:
    asked = []
    monkeypatch.setattr(
        "FlagEmbedding.plugins.manager.PluginManager.locate", lambda _, name: asked.append(name) or str(folder)
    )
    reranker = FlagAutoReranker.from_finetuned(name, devices="cpu")
    assert (type(reranker), reranker.max_length, asked) == (Qwen3Reranker, 8192, [f"Qwen/{name}"])
    assert reranker.compute_score(PAIRS[0]) == pytest.approx([card.log_odds(*PAIRS[0])], abs=1e-5)


def test_the_score_is_the_log_odds(reranker, card) -> None:
    expected = [card.log_odds(*pair) for pair in PAIRS]
    assert reranker.compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)
    assert max(expected) - min(expected) > 1e-2


def test_normalized_it_is_the_probability_of_yes(reranker, card) -> None:
    expected = [card.probability(*pair) for pair in PAIRS]
    assert reranker.compute_score(PAIRS, normalize=True) == pytest.approx(expected, abs=1e-6)


def test_padded_on_the_left_in_one_batch_it_is_the_same(reranker, card) -> None:
    assert reranker.compute_score(PAIRS, normalize=True) == pytest.approx(card.batch(PAIRS), abs=1e-5)


def test_it_is_neither_the_logit_of_yes_nor_the_softmax_over_all_words(reranker, card) -> None:
    """Or the tests above could not tell these apart."""
    no, yes = card.answers(*PAIRS[0]).tolist()
    [score] = reranker.compute_score(PAIRS[0])
    assert abs(score - yes) > 1e-2
    assert abs(score - (no - yes)) > 1e-2


def test_a_score_does_not_depend_on_its_batch(reranker) -> None:
    expected = [reranker.compute_score(pair)[0] for pair in PAIRS]
    for batch_size in (1, 2, 128):
        assert reranker.compute_score(PAIRS[::-1], batch_size=batch_size) == pytest.approx(expected[::-1], abs=1e-5)


def frame(card: Card) -> int:
    """Return how many tokens the chat itself takes."""
    return len(card._encoded(PREFIX)) + len(card._encoded(SUFFIX))


@pytest.mark.parametrize("cut", ["to two", "to seventeen", "by one", "by none", "by less than none"])
@pytest.mark.parametrize("pair", [PAIRS[0], PAIRS[3]])
def test_the_middle_is_cut_and_the_chat_is_not(reranker, card, seen, pair, cut) -> None:
    whole = len(card.ids(*pair))
    lengths = {"to two": frame(card) + 2, "to seventeen": frame(card) + 17, "by one": whole - 1, "by none": whole}
    max_length = lengths.get(cut, whole + 1)
    found = reranker.compute_score(pair, max_length=max_length)
    assert seen == card.ids(*pair, max_length=max_length)
    assert len(seen) == min(whole, max_length)
    assert found == pytest.approx([card.log_odds(*pair, max_length=max_length)], abs=1e-5)


@pytest.mark.parametrize("room", [1, 0, -100])
def test_no_room_is_refused(reranker, card, room) -> None:
    length = frame(card) + room
    with pytest.raises(OptionError, match=rf"max_length={length} leaves no room.*: {frame(card)} tokens"):
        reranker.compute_score(PAIRS, max_length=length)


def test_the_length_of_the_constructor_counts(folder, card) -> None:
    length = frame(card) + 80
    reranker = FlagAutoReranker.from_finetuned(folder, devices="cpu", max_length=length)
    expected = [card.log_odds(*pair, max_length=length) for pair in PAIRS]
    assert reranker.compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)
    assert expected != pytest.approx([card.log_odds(*pair) for pair in PAIRS], abs=1e-3)


def test_how_many_were_cut_is_logged(reranker, card, caplog) -> None:
    length = frame(card) + 110
    cut = sum(len(card.ids(*pair)) > length for pair in PAIRS)
    assert 0 < cut < len(PAIRS)
    with caplog.at_level(logging.INFO, "FlagEmbedding"):
        reranker.compute_score(PAIRS, max_length=length)
    [message] = [record.getMessage() for record in caplog.records]
    assert re.fullmatch(rf"{cut} of 5 .*pairs were cut to {length} tokens", message)


def test_an_instruction_of_ones_own(folder, card) -> None:
    task = "Given a claim, find documents that refute the claim"
    reranker = FlagAutoReranker.from_finetuned(folder, devices="cpu", query_instruction_for_rerank=task)
    expected = [card.log_odds(*pair, instruction=task) for pair in PAIRS]
    assert reranker.compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)
    assert expected != pytest.approx([card.log_odds(*pair) for pair in PAIRS], abs=1e-3)


@pytest.mark.parametrize("nothing", [None, ""])
def test_without_an_instruction_it_is_the_cards(folder, card, nothing) -> None:
    """The layout has a line for it, so that there is none without."""
    reranker = FlagAutoReranker.from_finetuned(folder, devices="cpu", query_instruction_for_rerank=nothing)
    assert reranker.compute_score(PAIRS[0]) == pytest.approx([card.log_odds(*PAIRS[0])], abs=1e-5)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"query_max_length": 16}, "set max_length, not query_max_length"),
        ({"prompt": "Is B an answer to A?"}, "set query_instruction_for_rerank"),
    ],
)
def test_options_that_have_no_meaning_here_are_refused(folder, reranker, option, message) -> None:
    with pytest.raises(OptionError, match=message):
        FlagAutoReranker.from_finetuned(folder, devices="cpu", **option)
    with pytest.raises(OptionError, match=message):
        reranker.compute_score(PAIRS, **option)


@pytest.mark.parametrize("words", [("<|im_start|>",), (*CHAT[:4], "yes"), (*CHAT[:4], "no")])
@pytest.mark.parametrize("unknown", [None, "<unk>"])
def test_a_tokenizer_without_the_answers_is_refused(tiny, tmp_path, words, unknown) -> None:
    folder = write(tiny, tmp_path / NAMES[0], words)
    tiny.change_json(folder / "tokenizer_config.json", unk_token=unknown)
    with pytest.raises(CheckpointError, match=r"has no tokens 'yes' and 'no'"):
        FlagAutoReranker.from_finetuned(folder, devices="cpu")


def test_a_fine_tune_under_another_name_is_recognised_with_one_warning(tiny, tmp_path, caplog) -> None:
    folder = write(tiny, tmp_path / "my-judge")
    with caplog.at_level(logging.WARNING):
        reranker = FlagAutoReranker.from_finetuned(folder, devices="cpu")
    [record] = caplog.records
    assert "assuming the prompt and the layout of Qwen3Reranker. Set model_class=" in record.getMessage()
    assert type(reranker) is Qwen3Reranker
    mine = Card(folder)
    assert reranker.compute_score(PAIRS) == pytest.approx([mine.log_odds(*pair) for pair in PAIRS], abs=1e-5)


def test_a_fine_tune_with_the_other_prompt_is_a_choice(tiny, tmp_path, caplog) -> None:
    folder = write(tiny, tmp_path / "my-judge")
    with caplog.at_level(logging.WARNING):
        reranker = FlagAutoReranker.from_finetuned(folder, model_class="decoder-only-base", devices="cpu")
    assert (type(reranker), caplog.records) == (FlagLLMReranker, [])


def test_an_embedding_model_is_refused(tiny, tmp_path) -> None:
    folder = tiny.build_decoder(tmp_path / "vectors", "qwen3", start=False)
    with pytest.raises(CheckpointError, match=r"is no reranker.*Qwen3Model.*FlagAutoModel"):
        FlagAutoReranker.from_finetuned(folder, devices="cpu")


def test_the_network_computes_no_logits_of_other_words(reranker, monkeypatch) -> None:
    """The output embedding has 151669 rows in the models, and two of them are read."""
    monkeypatch.setattr(reranker.model.get_output_embeddings(), "forward", None)
    assert len(reranker.compute_score(PAIRS)) == len(PAIRS)


def test_ranking(reranker, card) -> None:
    documents = [document for _, document in PAIRS]
    expected = [card.log_odds("river", document) for document in documents]
    ranked = reranker.rank("river", documents)
    assert [hit["index"] for hit in ranked] == sorted(range(5), key=lambda index: -expected[index])
    assert [hit["score"] for hit in ranked] == pytest.approx(sorted(expected, reverse=True), abs=1e-5)
