"""Decoders: the token that a text ends in, the direction of attention, and vectors that depend on nothing else."""

from __future__ import annotations

import inspect

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import transformers

from FlagEmbedding import FlagAutoModel, FlagLLMModel
from FlagEmbedding.errors import CheckpointError

TEXTS = ["river", "where is the seven stone garden?", "", "engine light, paper " * 9]
KINDS = {"mistral": True, "qwen2": False, "qwen3": False, "gemma2": True}


@pytest.fixture(scope="module")
def decoder(tiny, tmp_path_factory):
    """``decoder("mistral")``: a checkpoint whose tokenizer.json does not end a text as tokenizer_config.json says."""
    root = tmp_path_factory.mktemp("decoders")
    return {kind: tiny.build_decoder(root / kind, kind, start=start) for kind, start in KINDS.items()}.__getitem__


@pytest.fixture(scope="module")
def loaded(decoder):
    return {kind: FlagLLMModel(str(decoder(kind)), devices="cpu") for kind in KINDS}.__getitem__


def reference(folder, texts, *, causal=True, last="</s>", limit=None):
    """One text at a time, the special tokens by hand, the last position in float64."""
    tokenizer = transformers.PreTrainedTokenizerFast(tokenizer_file=str(folder / "tokenizer.json"))
    config = transformers.AutoConfig.from_pretrained(folder)
    config.is_causal = causal
    model = transformers.AutoModel.from_pretrained(folder, config=config, dtype=torch.float32).eval()
    end = [tokenizer.convert_tokens_to_ids(last)] if last else []
    rows = []
    for text in texts:
        ids = tokenizer(text)["input_ids"]
        ids = [*(ids if limit is None else ids[: limit - len(end)]), *end]
        with torch.no_grad():
            row = model(input_ids=torch.tensor([ids])).last_hidden_state[0, -1].double().numpy()
        rows.append(row / np.sqrt((row**2).sum()))
    return np.stack(rows)


@pytest.mark.parametrize("kind", KINDS)
def test_vectors_end_in_the_token_that_the_settings_ask_for(kind, loaded, decoder):
    assert np.abs(loaded(kind).encode(TEXTS) - reference(decoder(kind), TEXTS)).max() <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_a_cut_text_keeps_both_ends(kind, loaded, decoder):
    expected = reference(decoder(kind), TEXTS, limit=7)
    assert np.abs(loaded(kind).encode(TEXTS, max_length=7) - expected).max() <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
def test_the_first_token_stays_when_the_last_is_added(kind, loaded):
    ids = loaded(kind).tokenizer("river")["input_ids"]
    special = loaded(kind).tokenizer.convert_tokens_to_ids
    assert (ids[0] == special("<s>"), ids[-1] == special("</s>")) == (KINDS[kind], True)


def test_without_the_flag_nothing_is_added(tiny, decoder, tmp_path):
    folder = tiny.build_decoder(tmp_path / "plain", "mistral")
    tiny.change_json(folder / "tokenizer_config.json", add_eos_token=False)
    expected = reference(folder, ["river", "one of the"], last="")
    assert np.abs(FlagLLMModel(str(folder), devices="cpu").encode(["river", "one of the"]) - expected).max() <= 1e-5


def test_the_catalogue_can_ask_for_it(tiny, tmp_path):
    folder = tiny.build_decoder(tmp_path / "plain", "mistral")
    tiny.change_json(folder / "tokenizer_config.json", add_eos_token=False)
    model = FlagLLMModel(str(folder), devices="cpu", append_eos=True)
    assert np.abs(model.encode(TEXTS) - reference(folder, TEXTS)).max() <= 1e-5


def test_another_ending_token_is_asserted(tiny, tmp_path):
    folder = tiny.build_decoder(tmp_path / "other", "qwen3", start=False, end="<|endoftext|>")
    model = FlagLLMModel(str(folder), devices="cpu", append_eos="<|endoftext|>")
    assert np.abs(model.encode(TEXTS) - reference(folder, TEXTS, last="")).max() <= 1e-5


@pytest.mark.parametrize("wanted", ["<|endoftext|>", "<mask>"])
def test_an_ending_that_the_tokenizer_does_not_give_is_refused(decoder, wanted):
    with pytest.raises(CheckpointError, match=r"must end in '.*'.*and its tokenizer makes .* of 'x'.*post_processor"):
        FlagLLMModel(str(decoder("qwen2")), devices="cpu", append_eos=wanted)


def test_a_tokenizer_without_such_a_token_is_refused(tiny, tmp_path):
    folder = tiny.build(tmp_path / "bert", "bert")
    with pytest.raises(CheckpointError, match="its tokenizer has none"):
        FlagLLMModel(str(folder), devices="cpu", append_eos=True)


@pytest.mark.parametrize("kind", ["qwen2", "mistral", "qwen3"])
@pytest.mark.parametrize("causal", [True, False])
def test_the_direction_of_attention(kind, causal, decoder):
    model = FlagLLMModel(str(decoder(kind)), devices="cpu", is_causal=causal, pooling_method="cls")
    first, other = model.encode(["river of light", "river of stone"])
    assert bool(np.abs(first - other).max() <= 1e-6) is causal  # the first token sees the later ones or it does not
    last = FlagLLMModel(str(decoder(kind)), devices="cpu", is_causal=causal)
    assert np.abs(last.encode(TEXTS) - reference(decoder(kind), TEXTS, causal=causal)).max() <= 1e-5


@pytest.mark.parametrize("kind", KINDS)
@hypothesis.settings(max_examples=15)
@hypothesis.given(data=st.data())
def test_vectors_depend_on_the_text_alone(kind, loaded, data):
    texts = data.draw(st.lists(st.text(max_size=60), min_size=1, max_size=6))
    model, size = loaded(kind), data.draw(st.integers(1, 7))
    alone = np.stack([model.encode(text) for text in texts])
    assert np.abs(model.encode(texts, batch_size=size) - alone).max() <= 1e-5
    assert np.abs(model.encode(texts[::-1])[::-1] - alone).max() <= 1e-5


@pytest.mark.parametrize("threads", [1, 2])
def test_vectors_do_not_depend_on_the_threads(loaded, decoder, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    found = loaded("mistral").encode(TEXTS)
    torch.set_num_threads(before)
    assert np.abs(found - reference(decoder("mistral"), TEXTS)).max() <= 1e-5


def test_an_unregistered_decoder_is_detected(decoder, caplog):
    model = FlagAutoModel.from_finetuned(decoder("qwen2"), devices="cpu")
    assert isinstance(model, FlagLLMModel)
    assert "assuming BaseLLMEmbedder with pooling 'last_token'" in caplog.text
    assert np.abs(model.encode(TEXTS) - reference(decoder("qwen2"), TEXTS)).max() <= 1e-5


def test_the_instruction_has_the_format_of_these_models(loaded, decoder):
    model = FlagLLMModel(str(decoder("mistral")), devices="cpu", query_instruction_for_retrieval="Find it.")
    expected = reference(decoder("mistral"), ["Instruct: Find it.\nQuery: river"])
    assert np.abs(model.encode_queries(["river"]) - expected).max() <= 1e-5


def test_the_parameters_have_the_names_and_the_order_that_programs_know():
    assert list(inspect.signature(FlagLLMModel.__init__).parameters)[1:16] == [
        "model_name_or_path",
        "normalize_embeddings",
        "use_fp16",
        "use_bf16",
        "query_instruction_for_retrieval",
        "query_instruction_format",
        "devices",
        "trust_remote_code",
        "cache_dir",
        "batch_size",
        "query_max_length",
        "passage_max_length",
        "convert_to_numpy",
        "truncate_dim",
        "pooling_method",
    ]
