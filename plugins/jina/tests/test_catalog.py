"""Both models say at once that they cannot be run, and what can."""

from __future__ import annotations

import pytest

from FlagEmbedding import FlagAutoReranker
from FlagEmbedding.errors import UnsupportedModelError
from flagembedding_jina import hooks
from flagembedding_jina.catalog import RERANKERS

NAMES = ["jina-reranker-v2-base-multilingual", "jina-reranker-v1-turbo-en"]


def test_names() -> None:
    assert list(RERANKERS) == NAMES
    assert [config.hub_id for config in RERANKERS.values()] == [f"jinaai/{name}" for name in NAMES]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("prefix", ["", "jinaai/"])
def test_loading_says_why_not_and_what_instead(name: str, prefix: str) -> None:
    with pytest.raises(UnsupportedModelError, match=r"transformers 5.*Use bge-reranker-v2-m3") as caught:
        FlagAutoReranker.from_finetuned(prefix + name)
    assert isinstance(caught.value, ValueError)


def test_remote_code_does_not_help() -> None:
    with pytest.raises(UnsupportedModelError):
        FlagAutoReranker.from_finetuned(NAMES[1], trust_remote_code=True)


def test_a_folder_of_that_name_is_refused_too_but_not_a_class_of_the_callers_choice(tiny, tmp_path) -> None:
    folder = tiny.build_classifier(tmp_path / NAMES[1], "bert")
    with pytest.raises(UnsupportedModelError):
        FlagAutoReranker.from_finetuned(folder)
    reranker = FlagAutoReranker.from_finetuned(folder, model_class="encoder-only-base", devices="cpu")
    assert len(reranker.compute_score([("river", "light"), ("river", "stone")])) == 2


def test_the_published_weights_would_not_load_as_a_plain_bert(tiny, tmp_path) -> None:
    """The trap of upstream: a ``bert`` configuration whose weights are those of another network."""
    folder = tiny.build_classifier(tmp_path / "other-name", "bert")
    tiny.rename_weights(folder, "attention.output.LayerNorm", "layernorm1")
    tiny.change_json(folder / "config.json", auto_map={"AutoConfig": "jinaai/jina-bert--configuration.JinaBertConfig"})
    with pytest.raises(ValueError, match=r"missing.*Python code of its own"):
        FlagAutoReranker.from_finetuned(folder)


def test_the_hook_returns_the_catalogue() -> None:
    assert hooks.flagembedding_reranker_configs() is RERANKERS
