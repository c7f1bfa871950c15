"""A hub of tiny random models: every hub id leads to a checkpoint of its architecture, through the locator hook."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tiny_rerankers
import transformers

from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING
from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING
from FlagEmbedding.plugins import hookimpl
from FlagEmbedding.plugins.manager import plugin_manager

ARCHITECTURES = ("bert", "xlm-roberta", "mistral", "gemma2", "qwen2", "qwen3", "new")


@pytest.fixture(scope="session")
def architectures(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of a tiny checkpoint of each architecture; nobody may change them."""
    root = tmp_path_factory.mktemp("architectures")
    return {architecture: build(tiny, root / architecture, architecture) for architecture in ARCHITECTURES}


@pytest.fixture(scope="session")
def rerankers(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folder of a tiny checkpoint of each reranker's architecture, built when asked for; nobody may change them."""
    root = tmp_path_factory.mktemp("rerankers")
    return Lazily(lambda architecture: tiny_rerankers.build(tiny, root / architecture, architecture))


class Lazily(dict[str, Path]):
    """A dictionary that makes what is not there yet."""

    def __init__(self, make: Callable[[str], Path]) -> None:
        super().__init__()
        self._make = make

    def __missing__(self, key: str) -> Path:
        self[key] = made = self._make(key)
        return made


@pytest.fixture
def tiny_hub(tiny: Any, architectures: dict[str, Path], rerankers: dict[str, Path]) -> Iterator[Any]:
    """Whatever model is asked for is there; yields the reference for the vectors of those that are BERTs."""

    class Locator:
        @hookimpl(trylast=True)  # a plugin that has the real weights goes first
        def flagembedding_locate_model(self, model_name: str) -> Path | None:
            if "unknown" in model_name:
                return None
            reranker = architecture_of_reranker(model_name)
            return architectures[architecture_of(model_name)] if reranker is None else rerankers[reranker]

    plugin_manager().register(Locator(), "tiny-hub")
    yield tiny.Reference(architectures["bert"])
    plugin_manager().unregister("tiny-hub")


def architecture_of(hub_id: str) -> str:
    """Return an architecture that the class registered for ``hub_id`` loads; a BERT for the unregistered."""
    config = next((config for config in AUTO_EMBEDDER_MAPPING.values() if config.hub_id == hub_id), None)
    if config is None or not config.append_eos:
        return "new" if config and "native" in config.model_class_reference else "bert"
    if isinstance(config.append_eos, str):
        return "qwen3"
    return "mistral" if config.is_causal is None else "qwen2"


def architecture_of_reranker(hub_id: str) -> str | None:
    """Return an architecture that the class registered for ``hub_id`` loads; None where it is no reranker's."""
    config = next((config for config in AUTO_RERANKER_MAPPING.values() if config.hub_id == hub_id), None)
    classes = {
        "BaseLLMReranker": "gemma",
        "Qwen3Reranker": "qwen3",
        "GteReranker": "new",
        "LayerWiseLLMReranker": "minicpm of 40",
        "LightweightLLMReranker": "cost_wise_gemma of 42",
    }
    return None if config is None else classes.get(config.model_class_reference.partition(":")[2], "xlm-roberta")


def build(tiny: Any, folder: Path, architecture: str) -> Path:
    if architecture in ("mistral", "gemma2"):
        return tiny.build_decoder(folder, architecture)
    if architecture == "qwen3":
        return tiny.build_decoder(folder, architecture, start=False, end="<|endoftext|>")
    if architecture == "qwen2":
        return tiny.build_decoder(folder, architecture, start=False)
    return (
        build_new(tiny, folder)
        if architecture == "new"
        else tiny.build(folder, architecture, max_position_embeddings=514)
    )


def build_new(tiny: Any, folder: Path) -> Path:
    """transformers' own GTE encoder, with the ``config.json`` that the hub still has."""
    tokenizer, special = tiny.word_tokenizer()
    tiny.save_tokenizer(folder, tokenizer, special, "BertTokenizer")
    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "intermediate_size": 48}
    # theta 160000 and NTK factor 2, as transformers writes them: theta * 2, positions divided by 2 ** (2 / head_dim)
    rope = {"rope_type": "linear", "rope_theta": 320000.0, "factor": 2 ** (2 / 8)}
    config = transformers.GteConfig(**sizes, vocab_size=tokenizer.get_vocab_size(), rope_parameters=rope)
    tiny.random_model(config).save_pretrained(folder)
    said = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    del said["rope_parameters"]
    auto_map = {"AutoConfig": "Alibaba-NLP/new-impl--configuration.NewConfig"}
    hub = {"model_type": "new", "auto_map": auto_map, "architectures": ["NewModel"]}
    hub |= {"rope_theta": 160000, "rope_scaling": {"type": "ntk", "factor": 2.0}}
    tiny.write_json(folder / "config.json", {**said, **hub})
    tiny.write_json(folder / "reference.json", config.to_dict())
    return folder
