"""A cross-encoder's checkpoint has its head, with one label, or it does not load; and how pads are told from tokens."""

from __future__ import annotations

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer

from FlagEmbedding import FlagReranker
from FlagEmbedding.errors import CheckpointError, InputError, UnknownModelError

PAIRS = [
    ("river", "stone"),
    ("light of the", "seven garden window"),
    ("one", "of the more all"),
    ("", "all this!"),
    ("garden", "river <pad><pad>"),
]


def change_weights(folder, change):
    tensors = load_file(folder / "model.safetensors")
    change(tensors)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})


def near(found, expected):
    return max(abs(one - other) for one, other in zip(found, expected, strict=True)) <= 1e-5


@pytest.mark.parametrize("labels", [2, 3, 5])
def test_several_labels_are_no_score(tiny, tmp_path, labels):
    folder = tiny.build_classifier(tmp_path / "model", "bert", labels=labels)
    with pytest.raises(CheckpointError) as caught:
        FlagReranker(str(folder))
    assert str(caught.value) == (
        f"{str(folder)!r} has a head of {labels} labels (num_labels, id2label in its config.json), and a reranker has "
        "one: which of them is the score cannot be known."
    )


@pytest.mark.parametrize("kind", ["bert", "xlm-roberta", "modernbert"])
def test_a_missing_head_is_not_made_up(tiny, tmp_path, kind):
    """transformers would fill it with random numbers, and score with them."""
    folder = tiny.build(tmp_path / "model", kind, num_labels=1)
    with pytest.raises(CheckpointError, match=r"do not fit its config\.json: \d missing \(classifier\."):
        FlagReranker(str(folder))


@pytest.mark.parametrize("name", ["classifier.weight", "bert.encoder.layer.1.attention.self.query.weight"])
def test_every_weight_counts(tiny, tmp_path, name):
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    change_weights(folder, lambda tensors: tensors.pop(name))
    with pytest.raises(CheckpointError) as caught:
        FlagReranker(str(folder))
    assert str(caught.value) == (
        f"the weights of {str(folder)!r} do not fit its config.json: 1 missing ({name}). "
        "The model would run on random numbers."
    )


def test_the_pooler_is_part_of_a_classifier(tiny, tmp_path):
    """An embedder may lack it."""
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    change_weights(folder, lambda tensors: tensors.pop("bert.pooler.dense.bias"))
    with pytest.raises(CheckpointError, match=r"1 missing \(bert\.pooler\.dense\.bias\)"):
        FlagReranker(str(folder))


def test_a_weight_of_another_shape(tiny, tmp_path):
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    change_weights(folder, lambda tensors: tensors.update({"classifier.weight": torch.ones(3, 32)}))
    with pytest.raises(
        CheckpointError, match=r"1 of another shape \(classifier\.weight \(3, 32\) instead of \(1, 32\)"
    ):
        FlagReranker(str(folder))


def test_a_weight_too_many(tiny, tmp_path):
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    change_weights(folder, lambda tensors: tensors.update({"strange.weight": torch.ones(2)}))
    with pytest.raises(CheckpointError, match=r"1 unexpected \(strange\.weight\)"):
        FlagReranker(str(folder))


@pytest.mark.parametrize(
    ("kind", "names"),
    [
        ("bert", ["cls.predictions.bias", "cls.seq_relationship.weight"]),
        ("xlm-roberta", ["lm_head.dense.weight", "lm_head.bias", "roberta.pooler.dense.weight"]),
    ],
)
def test_leftovers_of_pretraining(tiny, tmp_path, plain, kind, names, capfd):
    folder = tiny.build_classifier(tmp_path / "model", kind)
    change_weights(folder, lambda tensors: tensors.update({name: torch.ones(2) for name in names}))
    capfd.readouterr()
    found = FlagReranker(str(folder)).compute_score(PAIRS)
    assert capfd.readouterr() == ("", "")
    assert near(found, plain(kind).scores(PAIRS))


def test_float16_weights_are_computed_with_in_float32(tiny, tmp_path, plain_classifier):
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    model = transformers.AutoModelForSequenceClassification.from_pretrained(folder, dtype=torch.float16)
    model.save_pretrained(folder)
    assert near(FlagReranker(str(folder), devices="cpu").compute_score(PAIRS), plain_classifier(folder).scores(PAIRS))


@pytest.mark.parametrize("extra", [["<one more>"], ["<one>", "<two>"]])
def test_a_tokenizer_of_another_model(tiny, tmp_path, extra):
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = len(tokenizer)
    tokenizer.add_tokens(extra)
    tokenizer.save_pretrained(folder)
    with pytest.raises(
        CheckpointError, match=f"has {rows + len(extra)} tokens and the model {rows}: they do not belong"
    ):
        FlagReranker(str(folder))


def test_a_tokenizer_that_joins_pairs_the_wrong_way_round(tiny, tmp_path):
    folder = tiny.build_classifier(tmp_path / "model", "modernbert")
    settings = json.loads((folder / "tokenizer.json").read_text())
    template = settings["post_processor"]["pair"]
    first, second = (next(part for part in template if part.get("Sequence", {}).get("id") == name) for name in "AB")
    first["Sequence"]["id"], second["Sequence"]["id"] = "B", "A"
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    with pytest.raises(CheckpointError, match="joins a pair in a way that is not known here"):
        FlagReranker(str(folder))


@pytest.mark.parametrize("source", ["/no/such/folder", "./no-such-folder"])
def test_no_such_folder(source):
    with pytest.raises(UnknownModelError) as caught:
        FlagReranker(source)
    assert str(caught.value) == f"there is no model folder {source!r}."


def test_the_settings_in_the_tokenizers_file_do_not_count(tiny, tmp_path, plain):
    """``tokenizer.json`` files arrive with truncation and padding of their own."""
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    settings = json.loads((folder / "tokenizer.json").read_text())
    settings["truncation"] = {"max_length": 6, "strategy": "LongestFirst", "stride": 0, "direction": "Right"}
    (folder / "tokenizer.json").write_text(json.dumps(settings))
    assert near(FlagReranker(str(folder)).compute_score(PAIRS), plain("bert").scores(PAIRS))


@pytest.mark.parametrize("names", [["input_ids", "attention_mask"], ["input_ids", "token_type_ids", "attention_mask"]])
@pytest.mark.parametrize("types", [[0, 0, 0, 1, 1], [0, 0, 0, 0, 0]])
def test_types_of_tokens_are_given_as_the_tokenizer_gives_them(tiny, tmp_path, plain_classifier, names, types):
    """A model that was trained without them, behind a tokenizer that could number the parts, is used without them."""
    folder = tiny.build_classifier(tmp_path / "model", "bert")
    if any(types):
        AutoTokenizer.from_pretrained(folder).save_pretrained(folder)  # writes BERT's own way to number the parts
    tiny.change_json(
        folder / "tokenizer_config.json", tokenizer_class="PreTrainedTokenizerFast", model_input_names=names
    )
    plain = plain_classifier(folder)
    assert plain.tokenizer.backend_tokenizer.encode("a", "b").type_ids == types
    assert list(plain.tokenizer(["a"], ["b"])) == names
    assert near(FlagReranker(str(folder)).compute_score(PAIRS), plain.scores(PAIRS))


# Packed where that works; and in padded batches, where pads have to be told from tokens.
RUNS = pytest.mark.parametrize("run", [{}, {"attn_implementation": "eager"}], ids=["packed", "padded"])


class TestDecoders:
    """A decoder's classifier reads the last token, and finds it by ``pad_token_id`` in its config.json."""

    @pytest.fixture
    def build(self, tiny, tmp_path):
        def built(model_type="qwen2", *, start=False, **config):
            kind = transformers.AutoModelForSequenceClassification
            return tiny.build_decoder(tmp_path / "model", model_type, start=start, kind=kind, num_labels=1, **config)

        return built

    @pytest.mark.parametrize("model_type", ["qwen2", "llama", "gemma2", "mistral", "qwen3"])
    def test_scores_are_those_of_transformers(self, build, plain_classifier, model_type):
        folder = build(model_type)
        model, expected = FlagReranker(str(folder), devices="cpu"), plain_classifier(folder).scores(PAIRS)
        for batch_size in (1, 3, 128):
            assert near(model.compute_score(PAIRS, batch_size=batch_size), expected)

    def test_a_second_text_that_begins_like_the_first(self, build, plain_classifier):
        """Llama's tokenizers put ``<s>`` before both, and give the second one the passage's number."""
        folder = build("llama", start=True)
        template = {
            "special_tokens": {"<s>": {"id": "<s>", "ids": [0], "tokens": ["<s>"]}},
            "type": "TemplateProcessing",
        }
        parts = [
            {"SpecialToken": {"id": "<s>", "type_id": 0}},
            {"Sequence": {"id": "A", "type_id": 0}},
            {"SpecialToken": {"id": "<s>", "type_id": 1}},
            {"Sequence": {"id": "B", "type_id": 1}},
        ]
        settings = json.loads((folder / "tokenizer.json").read_text())
        settings["post_processor"] = {**template, "single": parts[:2], "pair": parts}
        (folder / "tokenizer.json").write_text(json.dumps(settings))
        assert plain_classifier(folder).tokenizer(["q"], ["p"])["input_ids"][0].count(0) == 2
        assert near(FlagReranker(str(folder)).compute_score(PAIRS), plain_classifier(folder).scores(PAIRS))

    @RUNS
    def test_a_padding_token_of_the_model_that_is_not_the_tokenizers(self, build, plain_classifier, tiny, run):
        """Padded with the tokenizer's, the last token that is not the model's would be a pad."""
        folder = build()
        tiny.change_json(folder / "config.json", pad_token_id=4)
        expected = plain_classifier(folder).scores(PAIRS)
        assert near(FlagReranker(str(folder), devices="cpu", **run).compute_score(PAIRS), expected)

    @RUNS
    def test_a_padding_token_of_the_tokenizer_alone(self, build, plain_classifier, tiny, run):
        """Only a text that itself ends in that token tells the difference to a model without one."""
        folder, pairs = build(), PAIRS[:-1]
        tiny.change_json(folder / "config.json", pad_token_id=None)
        expected = plain_classifier(folder).scores(pairs)
        assert near(FlagReranker(str(folder), devices="cpu", **run).compute_score(pairs), expected)

    def test_without_any_the_last_token_cannot_be_found(self, build, tiny):
        """Id 0 would do for most pairs, and cost those that end in it their last token."""
        folder = build("llama", start=True)
        tiny.change_json(folder / "config.json", pad_token_id=None)
        tiny.change_json(folder / "tokenizer_config.json", pad_token=None)
        with pytest.raises(CheckpointError) as caught:
            FlagReranker(str(folder))
        assert str(caught.value) == (
            f"{str(folder)!r} has no padding token. Set pad_token in its tokenizer_config.json."
        )

    def test_no_text_at_all_is_refused(self, build):
        """Where no token is put around a pair, two empty texts have none."""
        with pytest.raises(InputError, match=r" 1 \(\('', ''\)\) gives no token at all"):
            FlagReranker(str(build())).compute_score([("river", "stone"), ("", "")])
