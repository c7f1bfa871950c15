"""A plugin that holds to the contract."""

from __future__ import annotations

import numpy as np

from FlagEmbedding.abc.inference import AbsEmbedder
from FlagEmbedding.inference.embedder.decoder_only.base import BaseLLMEmbedder
from FlagEmbedding.inference.embedder.encoder_only.base import BaseEmbedder
from FlagEmbedding.inference.reranker.encoder_only.base import BaseReranker
from FlagEmbedding.plugins import EmbedderConfig, ModelClass, RerankerConfig, hookimpl

ENCODER = EmbedderConfig(
    "contract_fakes:Right",
    "mean",
    hub_id="fake/fake-encoder",
    query_instruction="query: ",
    passage_instruction="passage: ",
    dimension=32,
    matryoshka_dims=(8, 16),
)
DECODER = EmbedderConfig(
    "contract_fakes:RightDecoder",
    "last_token",
    query_instruction_format="Instruct: {}\nQuery:{}",
    query_instruction="Find it.",
    append_eos=True,
)
RERANKER = RerankerConfig("contract_fakes:RightReranker", hub_id="fake/fake-reranker")
REFUSED = RERANKER.replace(hub_id=None, unsupported="its network is a secret. Use fake-reranker instead.")


class Fake:
    """The tables of a plugin, as the tests make them."""

    def __init__(self, embedders=(), rerankers=(), classes=(), reranker_classes=(), poolings=()):
        self.tables = [dict(table) for table in (embedders, rerankers, classes, reranker_classes, poolings)]

    @hookimpl
    def flagembedding_embedder_configs(self):
        return self.tables[0]

    @hookimpl
    def flagembedding_reranker_configs(self):
        return self.tables[1]

    @hookimpl
    def flagembedding_embedder_classes(self):
        return self.tables[2]

    @hookimpl
    def flagembedding_reranker_classes(self):
        return self.tables[3]

    @hookimpl
    def flagembedding_pooling_functions(self):
        return self.tables[4]


class Knowing(Fake):
    """It has an answer for every name."""

    @hookimpl
    def flagembedding_locate_model(self, model_name):
        return "/"


class Failing(Fake):
    @hookimpl
    def flagembedding_locate_model(self, model_name):
        raise KeyError(model_name)


def right():
    return Fake(
        {"fake-encoder": ENCODER, "fake-decoder": DECODER},
        {"fake-reranker": RERANKER, "fake-refused": REFUSED},
        {"encoder-only-fake": ModelClass("contract_fakes:Right", exports=("FakeModel",))},
        {"encoder-only-fake": ModelClass("contract_fakes:RightReranker", architecture="ForSequenceClassification")},
        {"fake-max": "contract_fakes:maximum"},
    )


def maximum(states, mask):
    return states.masked_fill(~mask.unsqueeze(-1), float("-inf")).amax(dim=1)


def bent(rows, amounts):
    """Move vectors by some amounts; they keep their length."""
    rows = rows + np.float32(0.1) * np.asarray(amounts, np.float32).reshape(-1, 1) * np.eye(1, rows.shape[1], 0)
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


class Right(BaseEmbedder):
    """Nothing is wrong here."""


class RightDecoder(BaseLLMEmbedder):
    """Nothing is wrong here."""


class RightReranker(BaseReranker):
    """Nothing is wrong here."""


class Letters(AbsEmbedder):
    """An embedder of its own, without tokenizer and weights."""

    def __init__(self, *args, pooling_method=None, trust_remote_code=False, **options):
        super().__init__(*args, **options)

    def encode_single_device(self, sentences, batch_size=256, max_length=None, convert_to_numpy=True, device=None):
        return bent(np.array([[text.count(letter) for letter in "aeiourt "] for text in sentences], np.float32), 1)
