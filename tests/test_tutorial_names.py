"""With all plugins installed, the mapping holds the names that the tutorial prints, and prints them as it does."""

from __future__ import annotations

from FlagEmbedding import AbsEmbedder, AbsReranker
from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING, support_model_list
from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING

NAMES = """
bge-en-icl bge-multilingual-gemma2 bge-m3
bge-large-en-v1.5 bge-base-en-v1.5 bge-small-en-v1.5 bge-large-zh-v1.5 bge-base-zh-v1.5 bge-small-zh-v1.5
bge-large-en bge-base-en bge-small-en bge-large-zh bge-base-zh bge-small-zh
e5-mistral-7b-instruct e5-large-v2 e5-base-v2 e5-small-v2
multilingual-e5-large-instruct multilingual-e5-large multilingual-e5-base multilingual-e5-small
e5-large e5-base e5-small
gte-Qwen2-7B-instruct gte-Qwen2-1.5B-instruct gte-Qwen1.5-7B-instruct
gte-multilingual-base gte-large-en-v1.5 gte-base-en-v1.5
gte-large gte-base gte-small gte-large-zh gte-base-zh gte-small-zh
SFR-Embedding-2_R SFR-Embedding-Mistral Linq-Embed-Mistral
""".split()  # noqa: SIM905 - as the tutorial groups them

# The rerankers of FlagEmbedding 1.4.2's mapping, which the tutorial of rerankers is for.
RERANKERS = """
bge-reranker-base bge-reranker-large bge-reranker-v2-m3
bge-reranker-v2-gemma bge-reranker-v2-minicpm-layerwise bge-reranker-v2.5-gemma2-lightweight
jina-reranker-v2-base-multilingual gte-multilingual-reranker-base bce-reranker-base_v1 jina-reranker-v1-turbo-en
""".split()  # noqa: SIM905 - likewise


def test_all_names_in_the_order_of_the_tutorial() -> None:
    assert len(NAMES) == 41
    assert [name for name in AUTO_EMBEDDER_MAPPING if name in NAMES] == NAMES


def test_the_list_of_names_is_the_mappings() -> None:
    assert support_model_list() == list(AUTO_EMBEDDER_MAPPING)


def test_an_entry_prints_its_four_attributes() -> None:
    assert repr(AUTO_EMBEDDER_MAPPING["bge-en-icl"]) == (
        "EmbedderConfig(model_class=<class 'flagembedding_bge.icl.ICLLLMEmbedder'>, "
        "pooling_method=<PoolingMethod.LAST_TOKEN: 'last_token'>, trust_remote_code=False, "
        "query_instruction_format='<instruct>{}\\n<query>{}')"
    )


def test_every_entry_has_its_class() -> None:
    for name in NAMES:
        assert issubclass(AUTO_EMBEDDER_MAPPING[name].model_class, AbsEmbedder)


def test_every_entry_has_an_official_repository_of_its_name() -> None:
    for name in NAMES:
        organisation, _, repository = str(AUTO_EMBEDDER_MAPPING[name].hub_id).partition("/")
        assert (bool(organisation), repository) == (True, name)


def test_every_name_of_a_reranker_is_there() -> None:
    assert len(RERANKERS) == 10
    assert set(RERANKERS) <= set(AUTO_RERANKER_MAPPING)


def test_the_own_rerankers_come_in_the_order_of_the_tutorial() -> None:
    """Families are in alphabetical order here, and within one the tutorial's counts."""
    assert [name for name in AUTO_RERANKER_MAPPING if name.startswith("bge-")] == RERANKERS[:6]


def test_an_entry_of_a_reranker_prints_its_two_attributes() -> None:
    assert repr(AUTO_RERANKER_MAPPING["bge-reranker-v2-gemma"]) == (
        "RerankerConfig(model_class=<class 'FlagEmbedding.inference.reranker.decoder_only.base.BaseLLMReranker'>, "
        "trust_remote_code=False)"
    )


def test_every_reranker_has_its_class_and_an_official_repository_of_its_name() -> None:
    for name, config in AUTO_RERANKER_MAPPING.items():
        organisation, _, repository = str(config.hub_id).partition("/")
        assert (bool(organisation), repository) == (True, name)
        assert issubclass(config.model_class, AbsReranker)


def test_every_reranker_says_what_a_user_chooses_by() -> None:
    for name, config in AUTO_RERANKER_MAPPING.items():
        assert all((config.hub_id, config.max_length, config.languages, config.licence, config.source)), name


def test_no_name_is_both_an_embedder_and_a_reranker() -> None:
    assert set(AUTO_EMBEDDER_MAPPING) & set(AUTO_RERANKER_MAPPING) == set()


def test_every_entry_says_what_a_user_chooses_by() -> None:
    for name, config in AUTO_EMBEDDER_MAPPING.items():
        said = config.hub_id, config.dimension, config.max_length, config.languages, config.licence, config.source
        assert all(said), name
