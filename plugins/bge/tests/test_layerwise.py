"""The layerwise reranker: the right prompt around each pair, the layers that a call asks for, no code of strangers."""

from __future__ import annotations

import inspect
import json
import math
import random

import minicpm_tiny
import numpy as np
import pytest
from tokenizers import Tokenizer

import FlagEmbedding
from FlagEmbedding.errors import CheckpointError, OptionError
from flagembedding_bge.layerwise import LayerWiseLLMReranker

PROMPT = (
    "Given a query A and a passage B, determine whether the passage contains an answer to the query by providing a "
    "prediction of either 'Yes' or 'No'."
)
PAIRS = [
    ("what is a panda?", "The giant panda is a bear of China,\nblack and white."),
    ("what is a panda?", "hi"),
    ("", "a passage without a query"),
    ("大熊猫", "在四川 the panda"),
    ("which of all the queries is long, and what is left of it when it is cut?", "small words " * 8),
    (" after a space ", "\n"),
]
EVERY = [2, 3, 4, 5]

SIGNATURE = (  # upstream's, for calls by position
    "model_name_or_path peft_path use_fp16 use_bf16 query_instruction_for_rerank query_instruction_format "
    "passage_instruction_for_rerank passage_instruction_format cache_dir trust_remote_code devices cutoff_layers "
    "prompt batch_size query_max_length max_length normalize kwargs"
)


class PairReference:
    """One pair at a time: the file's own tokenizer, the parts joined by hand, the network's formulas in float64."""

    def __init__(self, folder) -> None:
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.network = minicpm_tiny.Reference(folder)

    def ids(self, text) -> list[int]:
        return self.tokenizer.encode(text, add_special_tokens=False).ids

    def row(self, pair, prompt=PROMPT, max_length=10_000, query_max_length=None, before=("A: ", "B: ")) -> list[int]:
        """As in FlagEmbedding 1.x: break and prompt come on top of max_length, and once more as room for the texts."""
        query, passage = (self.ids(start + text) for start, text in zip(before, pair, strict=True))
        line, asked = self.ids("\n"), self.ids(prompt)
        query = [1, *query[: query_max_length or max_length * 3 // 4]]
        room = max_length + len(line) + len(asked) - len(query) - len(line)
        return [*query, *line, *passage[:max_length][:room], *line, *asked]

    def scores(self, layers, pairs=PAIRS, **options) -> np.ndarray:
        """``[layers, pairs]``."""
        return np.array([self.network.scores(self.row(pair, **options), layers) for pair in pairs]).T


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Nobody may change it."""
    path = tmp_path_factory.mktemp("layerwise") / "model"
    return minicpm_tiny.build_with_tokenizer(path, max_position_embeddings=1024)


@pytest.fixture(scope="module")
def reference(folder):
    return PairReference(folder)


@pytest.fixture(scope="module")
def reranker(folder):
    return LayerWiseLLMReranker(str(folder), devices="cpu")


@pytest.fixture(scope="module")
def right(reference):
    """By layer."""
    return dict(zip(EVERY, reference.scores(EVERY), strict=True))


def close(found, expected) -> bool:
    assert np.shape(found) == np.shape(expected)
    return np.abs(np.array(found) - np.array(expected)).max() <= 1e-5


@pytest.mark.parametrize("layer", [2, 3, 5])
def test_one_layer_gives_one_list(reranker, right, layer) -> None:
    for asked in ([layer], (layer,), layer, np.array([layer])):
        found = reranker.compute_score(PAIRS, cutoff_layers=asked)
        assert all(type(score) is float for score in found)
        assert close(found, right[layer])


def test_without_layers_it_is_the_last(reranker, right) -> None:
    assert close(reranker.compute_score(PAIRS), right[5])


@pytest.mark.parametrize("layers", [[2, 5], [5, 2], [4, 2, 3], [3, 3]], ids=str)
def test_several_layers_give_a_list_each_in_the_order_asked_for(reranker, right, layers) -> None:
    assert close(reranker.compute_score(PAIRS, cutoff_layers=layers), [right[layer] for layer in layers])


def test_one_pair_and_none(reranker, right) -> None:
    assert close(reranker.compute_score(PAIRS[0]), right[5][:1])
    assert close(reranker.compute_score(PAIRS[0], cutoff_layers=[3, 2]), [right[3][:1], right[2][:1]])
    assert reranker.compute_score([]) == []
    assert reranker.compute_score([], cutoff_layers=[2, 3]) == [[], []]


def test_a_score_does_not_depend_on_its_batch(reranker, right) -> None:
    order = random.Random(4).sample(range(len(PAIRS)), len(PAIRS))
    for size in (1, 2, 128):
        found = reranker.compute_score([PAIRS[index] for index in order], batch_size=size, cutoff_layers=[2, 4])
        assert close(found, [right[layer][order] for layer in (2, 4)])


def test_the_constructor_sets_what_calls_do_not(folder, reference, right) -> None:
    reranker = LayerWiseLLMReranker(
        str(folder), devices="cpu", cutoff_layers=[4, 2], prompt="Same?", normalize=True, max_length=40
    )
    asked = {"prompt": "Same?", "max_length": 40}
    assert close(reranker.compute_score(PAIRS), sigmoid(reference.scores([4, 2], **asked)))
    assert close(reranker.compute_score(PAIRS, cutoff_layers=[3]), sigmoid(reference.scores([3], **asked))[0])
    told = {"cutoff_layers": [3], "prompt": PROMPT, "normalize": False, "max_length": 500}
    assert close(reranker.compute_score(PAIRS, **told), right[3])


@pytest.mark.parametrize(
    "options", [{"max_length": 20}, {"max_length": 50, "query_max_length": 7}, {"query_max_length": 5}], ids=str
)
def test_long_pairs_are_cut_as_the_published_code_does(reranker, reference, options) -> None:
    asked = {"max_length": 900, **options}
    assert close(reranker.compute_score(PAIRS, cutoff_layers=[2], **asked), reference.scores([2], **asked)[0])


def test_instructions_are_put_before_the_texts(folder, reference) -> None:
    reranker = LayerWiseLLMReranker(
        str(folder), query_instruction_for_rerank="", passage_instruction_for_rerank="P> ", devices="cpu"
    )
    assert close(reranker.compute_score(PAIRS), reference.scores([5], before=("", "P> "))[0])


def test_no_layer_is_run_beyond_the_last_that_is_asked_for(reranker) -> None:
    calls = []
    layers = reranker.model.model.layers
    hooks = [layer.register_forward_hook(lambda *_, n=n: calls.append(n)) for n, layer in enumerate(layers)]
    reranker.compute_score(PAIRS[:1], cutoff_layers=[3, 2])
    for hook in hooks:
        hook.remove()
    assert calls == [0, 1, 2]


def test_the_signature_is_the_one_that_programs_call_by_position() -> None:
    assert " ".join(inspect.signature(LayerWiseLLMReranker).parameters) == SIGNATURE


def test_programs_find_it_by_its_public_name(folder, right) -> None:
    reranker = FlagEmbedding.LayerWiseFlagLLMReranker(str(folder), use_fp16=True, devices=["cpu"])
    assert type(reranker) is LayerWiseLLMReranker
    assert close(reranker.compute_score(list(map(list, PAIRS)), cutoff_layers=[2]), right[2])
    assert close(reranker.compute_score(PAIRS, use_dataloader=True, num_workers=2), right[5])


def test_it_is_recognised_by_its_files(folder) -> None:
    assert type(FlagEmbedding.FlagAutoReranker.from_finetuned(str(folder), devices="cpu")) is LayerWiseLLMReranker


def test_rank_takes_one_layer(reranker, reference) -> None:
    query, documents = PAIRS[0][0], [passage for _, passage in PAIRS]
    scores = reference.scores([3], [(query, document) for document in documents])[0]
    ranked = reranker.rank(query, documents, cutoff_layers=[3])
    assert [document["index"] for document in ranked] == list(np.argsort(-scores))
    with pytest.raises(OptionError, match="several layers"):
        reranker.rank(query, documents, cutoff_layers=[2, 3])


def test_layers_and_options_that_do_not_exist_are_refused(reranker, folder, tmp_path) -> None:
    with pytest.raises(OptionError, match="from 2 to 5"):
        reranker.compute_score(PAIRS, cutoff_layers=[5, 6])
    with pytest.raises(OptionError, match="'cutoff_layers'"):
        reranker.compute_score(PAIRS, cutoff_layer=[5])
    (tmp_path / "config.json").write_text((folder / "config.json").read_text(encoding="utf-8"), encoding="utf-8")
    with pytest.raises(OptionError, match="from 2 to 5"):  # before the files are looked for that are not there
        LayerWiseLLMReranker(str(tmp_path), devices="cpu", cutoff_layers=[28])


def test_a_pair_begins_with_bos_even_where_that_is_the_padding(tmp_path, right) -> None:
    minicpm_tiny.build_with_tokenizer(tmp_path, max_position_embeddings=1024)
    change_tokenizer(tmp_path, pad_token="<s>")
    assert close(LayerWiseLLMReranker(str(tmp_path), devices="cpu").compute_score(PAIRS), right[5])
    change_tokenizer(tmp_path, bos_token=None)
    with pytest.raises(CheckpointError, match="must begin with the bos_token"):
        LayerWiseLLMReranker(str(tmp_path), devices="cpu")


def test_code_of_a_checkpoint_never_runs(tmp_path, right) -> None:
    minicpm_tiny.build_with_tokenizer(tmp_path, max_position_embeddings=1024)
    change_tokenizer(tmp_path, auto_map={"AutoTokenizer": [None, "tokenization_minicpm.MiniCPMTokenizerFast"]})
    for name in ("configuration_minicpm_reranker", "modeling_minicpm_reranker", "tokenization_minicpm"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('this code ran')\n", encoding="utf-8")
    reranker = LayerWiseLLMReranker(str(tmp_path), devices="cpu", trust_remote_code=True)
    assert close(reranker.compute_score(PAIRS), right[5])


def test_bfloat16_is_near(folder, right) -> None:
    found = LayerWiseLLMReranker(str(folder), devices="cpu", use_bf16=True).compute_score(PAIRS, cutoff_layers=[2])
    assert 1e-5 < np.abs(found - right[2]).max() < 0.2


def sigmoid(scores) -> np.ndarray:
    return np.vectorize(lambda score: 1 / (1 + math.exp(-score)))(scores)


def change_tokenizer(folder, **changes) -> None:
    path = folder / "tokenizer_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text(encoding="utf-8")), **changes}), encoding="utf-8")
