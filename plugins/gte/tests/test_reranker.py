"""The native classifier: the scores of transformers' own GteForSequenceClassification, one pair at a time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors
import tokenizers
import torch
import transformers

from FlagEmbedding import FlagAutoModel, FlagAutoReranker, FlagReranker
from FlagEmbedding.errors import CheckpointError
from flagembedding_gte.native import GteReranker

NAME = "gte-multilingual-reranker-base"
CLASSIFIER = "NewForSequenceClassification"
ROPE = {"rope_type": "default", "rope_theta": 9.0}
PAIRS = [
    ("river", "the river of light is in the garden of paris."),
    ("where is the seven stone garden?", "a small engine"),
    ("river", "paper"),
    ("engine light", "one letter from 東京, as of the window" + ", seven stone windows and a garden" * 3),
]

# config.json's words for the rope, transformers' words for it by hand (heads are 8 wide), and the rest.
HUB = (
    {"rope_theta": 20000, "rope_scaling": {"type": "ntk", "factor": 8.0}},
    {"rope_type": "linear", "rope_theta": 160000.0, "factor": 8.0**0.25},
    {"type_vocab_size": 1, "multilingual": True},
)
ENGLISH = (
    {"rope_theta": 160000, "rope_scaling": {"type": "ntk", "factor": 2.0}},
    {"rope_type": "linear", "rope_theta": 320000.0, "factor": 2.0**0.25},
    {"type_vocab_size": 2},
)
PLAIN = {"rope_theta": 7000.0}, {"rope_type": "default", "rope_theta": 7000.0}
UNTYPED = (*PLAIN, {"type_vocab_size": 0})
ONE_KIND = (*PLAIN, {"type_vocab_size": 1})  # though its tokenizer numbers the parts


@pytest.fixture
def hub(published: Any) -> Any:
    """``hub(folder)`` writes a reranker as the hub has it, and returns transformers' own model of it."""

    def write(folder: Path, variant: tuple[dict[str, Any], ...] = HUB, **settings: Any) -> torch.nn.Module:
        says, rope, rest = variant
        return published(folder, rope, architecture=CLASSIFIER, **{**says, **rest, **settings})

    return write


def scores(folder: Path, model: torch.nn.Module, pairs: list[tuple[str, str]] = PAIRS) -> list[float]:
    """One pair at a time, nothing padded; the texts' ids from tokenizers alone, put together by hand."""
    tokenizer = tokenizers.Tokenizer.from_file(str(folder / "tokenizer.json"))
    start, *middle, end = map(tokenizer.token_to_id, frame(tokenizer))
    found = []
    for pair in pairs:
        query, passage = (tokenizer.encode(text, add_special_tokens=False).ids for text in pair)
        before = [start, *query, *middle]
        inputs = {"input_ids": [*before, *passage, end]}
        if model.config.type_vocab_size == 2:
            separator = len(middle) - 1  # BERT's own is the query's
            inputs["token_type_ids"] = [0] * (len(before) - separator) + [1] * (separator + len(passage) + 1)
        with torch.no_grad():
            found.append(model(**{name: torch.tensor([ids]) for name, ids in inputs.items()}).logits.item())
    return found


def frame(tokenizer: tokenizers.Tokenizer) -> list[str]:
    """What goes before, between and after the texts: XLM-RoBERTa's, with two separators, or BERT's."""
    return ["<s>", "</s>", "</s>", "</s>"] if tokenizer.token_to_id("<s>") is not None else ["[CLS]", "[SEP]", "[SEP]"]


@pytest.mark.parametrize("folder", [NAME, "a-fine-tune"])
@pytest.mark.parametrize("variant", [HUB, ENGLISH, UNTYPED, ONE_KIND], ids=["hub", "english", "untyped", "one kind"])
def test_the_scores_are_right(hub, tmp_path, variant, folder) -> None:
    by_hand = hub(tmp_path / folder, variant)
    expected = scores(tmp_path / folder, by_hand)
    reranker = FlagAutoReranker.from_finetuned(tmp_path / folder, devices="cpu")
    assert (type(reranker), type(reranker.model)) == (GteReranker, transformers.GteForSequenceClassification)
    assert reranker.compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)
    assert [reranker.compute_score(pair)[0] for pair in PAIRS] == pytest.approx(expected, abs=1e-5)
    likely = [1 / (1 + math.exp(-score)) for score in expected]
    assert reranker.compute_score(PAIRS, normalize=True) == pytest.approx(likely, abs=1e-5)
    assert max(expected) - min(expected) > 0.1  # or any order of the pairs would do


def test_by_its_name_alone(hub, tmp_path, monkeypatch) -> None:
    by_hand = hub(tmp_path / "model")
    monkeypatch.setattr("FlagEmbedding.plugins.manager.PluginManager.locate", lambda _, name: str(tmp_path / "model"))
    reranker = FlagAutoReranker.from_finetuned(NAME, devices="cpu")
    assert (type(reranker), reranker.max_length) == (GteReranker, 8192)
    assert reranker.compute_score(PAIRS) == pytest.approx(scores(tmp_path / "model", by_hand), abs=1e-5)


def test_the_hubs_weights_have_the_names_of_the_published_code(hub, tmp_path) -> None:
    """Or the tests above would load what nobody publishes."""
    hub(tmp_path / NAME)
    with safetensors.safe_open(tmp_path / NAME / "model.safetensors", "pt") as file:
        names = set(file.keys())
    assert {name.split(".")[0] for name in names} == {"new", "classifier"}
    layer = "new.encoder.layer.1"
    assert {f"{layer}.attention.qkv_proj.weight", f"{layer}.mlp.up_gate_proj.weight"} <= names
    assert {"new.embeddings.word_embeddings.weight", "new.pooler.dense.bias", "classifier.bias"} <= names


def test_the_reference_can_tell_ropes_and_kinds_of_tokens_apart(published, tmp_path) -> None:
    """Or the tests above would pass whatever becomes of them."""
    says, rope, rest = ENGLISH
    right = scores(tmp_path / "1", published(tmp_path / "1", rope, architecture=CLASSIFIER, **says, **rest))
    for number, (theta, factor) in enumerate([(160000.0, 1.0), (320000.0, 1.0), (320000.0, 8.0**0.25)], 2):
        other = {"rope_type": "linear", "rope_theta": theta, "factor": factor}
        wrong = published(tmp_path / str(number), other, architecture=CLASSIFIER, **says, **rest)
        assert np.abs(np.subtract(scores(tmp_path / "1", wrong), right)).max() > 1e-3
    untyped = published(tmp_path / "9", rope, architecture=CLASSIFIER, **says, **rest)
    untyped.config.type_vocab_size = 1  # so that scores() gives it none
    assert np.abs(np.subtract(scores(tmp_path / "1", untyped), right)).max() > 1e-3


def test_the_frequencies_survive_loading(hub, tmp_path) -> None:
    hub(tmp_path / NAME)
    reranker = FlagAutoReranker.from_finetuned(tmp_path / NAME, devices="cpu")
    wanted = (20000.0 * 8.0) ** -(np.arange(0, 8, 2) / 8) / 8.0 ** (2 / 8)
    assert abs(reranker.model.gte.rotary_emb.inv_freq.double().numpy() - wanted).max() <= 1e-7


@pytest.mark.parametrize("words", ["hub", "transformers"])
def test_the_other_spelling(hub, tmp_path, words) -> None:
    """A copy that says "gte", with the published code's words for its rope, or with transformers' own."""
    says, rope, _ = HUB
    spelled = {} if words == "hub" else dict.fromkeys(says) | {"rope_parameters": rope}
    by_hand = hub(tmp_path / "copy", model_type="gte", architectures=["GteForSequenceClassification"], **spelled)
    reranker = FlagAutoReranker.from_finetuned(tmp_path / "copy", devices="cpu")
    assert type(reranker) is GteReranker
    assert reranker.compute_score(PAIRS) == pytest.approx(scores(tmp_path / "copy", by_hand), abs=1e-5)


def test_what_transformers_saves_of_a_fine_tune(hub, tmp_path) -> None:
    by_hand = hub(tmp_path / "tuned")
    by_hand.save_pretrained(tmp_path / "tuned")  # over the hub's: config.json and weights in transformers' words
    reranker = FlagAutoReranker.from_finetuned(tmp_path / "tuned", devices="cpu")
    assert type(reranker) is GteReranker
    assert reranker.compute_score(PAIRS) == pytest.approx(scores(tmp_path / "tuned", by_hand), abs=1e-5)


def test_weights_in_half_precision_are_computed_with_in_single(hub, change_weights, tmp_path) -> None:
    by_hand = hub(tmp_path / NAME)  # its config.json says float16, as the hub's does
    change_weights(tmp_path / NAME, lambda weights: weights.update({k: w.half() for k, w in weights.items()}))
    reranker = FlagAutoReranker.from_finetuned(tmp_path / NAME, devices="cpu", use_fp16=True)
    for weight in by_hand.parameters():  # the weights alone: half the precision of the rope is another model
        weight.data = weight.data.half().float()
    expected = scores(tmp_path / NAME, by_hand)
    assert reranker.compute_score(PAIRS) == pytest.approx(expected, abs=1e-5)
    assert reranker.model.dtype == torch.float32


def test_a_score_does_not_depend_on_its_batch(hub, tmp_path) -> None:
    hub(tmp_path / NAME)
    reranker = FlagAutoReranker.from_finetuned(tmp_path / NAME, devices="cpu")
    expected = [reranker.compute_score(pair)[0] for pair in PAIRS]
    for batch_size in (1, 2, 3, 128):
        assert reranker.compute_score(PAIRS[::-1], batch_size=batch_size) == pytest.approx(expected[::-1], abs=1e-5)


def test_it_is_a_cross_encoder_like_others(hub, tmp_path) -> None:
    by_hand = hub(tmp_path / NAME, max_position_embeddings=512)
    reranker = FlagAutoReranker.from_finetuned(tmp_path / NAME, devices="cpu")
    assert isinstance(reranker, FlagReranker)
    best = reranker.rank("river", [passage for _, passage in PAIRS], top_n=1)[0]
    expected = scores(tmp_path / NAME, by_hand, [("river", passage) for _, passage in PAIRS])
    assert (best["index"], best["score"]) == (int(np.argmax(expected)), pytest.approx(max(expected), abs=1e-5))


@pytest.mark.parametrize("model_type", ["new", "gte"])
@pytest.mark.parametrize("folder", [NAME, "a-fine-tune"])
def test_no_code_of_the_folder_runs(hub, booby_trap, tmp_path, tiny, folder, model_type) -> None:
    here = {"AutoConfig": "configuration.NewConfig", "AutoModelForSequenceClassification": f"modeling.{CLASSIFIER}"}
    hub(tmp_path / folder, auto_map=here, model_type=model_type)
    tiny.change_json(tmp_path / folder / "tokenizer_config.json", auto_map={"AutoTokenizer": ["modeling.T"] * 2})
    mark = booby_trap(tmp_path / folder)
    reranker = FlagAutoReranker.from_finetuned(tmp_path / folder, devices="cpu")
    assert (len(reranker.compute_score(PAIRS)), mark.exists()) == (4, False)


def test_not_even_where_code_is_trusted(hub, booby_trap, tmp_path) -> None:
    """The model itself is transformers' then, too; only a tokenizer might bring code, and this one brings none."""
    hub(tmp_path / NAME, auto_map={"AutoModelForSequenceClassification": f"modeling.{CLASSIFIER}"})
    mark = booby_trap(tmp_path / NAME)
    reranker = FlagAutoReranker.from_finetuned(tmp_path / NAME, devices="cpu", trust_remote_code=True)
    assert (type(reranker), mark.exists()) == (GteReranker, False)


@pytest.mark.parametrize("folder", [NAME, "a-fine-tune"])
def test_two_labels_are_refused(hub, tmp_path, folder) -> None:
    labels = {"0": "no", "1": "yes"}
    hub(tmp_path / folder, id2label=labels, label2id={name: int(number) for number, name in labels.items()})
    with pytest.raises(CheckpointError, match=r"has a head of 2 labels"):
        FlagAutoReranker.from_finetuned(tmp_path / folder, devices="cpu")


@pytest.mark.parametrize("number", [1, 2])
def test_labels_that_are_only_counted(hub, tmp_path, tiny, number) -> None:
    """As a configuration written by hand may have it; transformers reads the number where no label has a name."""
    by_hand = hub(tmp_path / NAME, id2label={str(label): f"LABEL_{label}" for label in range(number)})
    tiny.change_json(tmp_path / NAME / "config.json", id2label=None, label2id=None, num_labels=number)
    if number == 1:
        reranker = FlagAutoReranker.from_finetuned(tmp_path / NAME, devices="cpu")
        assert reranker.compute_score(PAIRS) == pytest.approx(scores(tmp_path / NAME, by_hand), abs=1e-5)
    else:
        with pytest.raises(CheckpointError, match=r"has a head of 2 labels"):
            FlagAutoReranker.from_finetuned(tmp_path / NAME, devices="cpu")


@pytest.mark.parametrize(
    ("lost", "named"),
    [
        ("classifier.weight", "classifier.weight"),
        ("classifier.bias", "classifier.bias"),
        ("new.pooler.dense.weight", "pooler.dense.weight"),
        ("new.encoder.layer.1.mlp_ln.bias", "layers.1.post_mlp_layernorm.bias"),
    ],
)
def test_a_weight_that_is_missing_is_named(hub, change_weights, tmp_path, lost, named) -> None:
    hub(tmp_path / NAME)
    change_weights(tmp_path / NAME, lambda weights: weights.pop(lost))
    with pytest.raises(CheckpointError, match=rf"1 missing \(.*{named}\)"):
        FlagAutoReranker.from_finetuned(tmp_path / NAME, devices="cpu")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rope_scaling": {"type": "yarn", "factor": 2.0}}, "'yarn'"),
        ({"logn_attention_scale": True}, "logn_attention_scale is True"),
        ({"layer_norm_type": "rms_norm"}, "layer_norm_type is 'rms_norm'"),
    ],
)
def test_what_transformers_does_not_have_is_refused(hub, tmp_path, settings, message) -> None:
    hub(tmp_path / NAME, **{**HUB[0], **settings})
    with pytest.raises(CheckpointError, match=rf"config.json of .*{NAME}.*{message}"):
        FlagAutoReranker.from_finetuned(tmp_path / NAME, devices="cpu")


def test_an_encoder_is_no_reranker_and_the_reverse(hub, published, tmp_path) -> None:
    hub(tmp_path / "classifier")
    published(tmp_path / "encoder", ROPE, rope_theta=9.0)
    with pytest.raises(CheckpointError, match=r"is a reranker .*load it with FlagAutoReranker"):
        FlagAutoModel.from_finetuned(tmp_path / "classifier", devices="cpu")
    with pytest.raises(CheckpointError, match=r"is no reranker.*FlagAutoModel"):
        FlagAutoReranker.from_finetuned(tmp_path / "encoder", devices="cpu")
