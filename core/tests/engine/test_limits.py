from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
import transformers

from FlagEmbedding.engine.limits import check_rows, check_vocabulary, position_limit, vocabulary_rows
from FlagEmbedding.errors import CheckpointError


class Backbone(torch.nn.Module):
    """A model with a table of positions, or with none, under a second layer of modules as BERT has it."""

    def __init__(self, table=None, **config):
        super().__init__()
        self.config = SimpleNamespace(**config)
        self.embeddings = torch.nn.Module()
        self.embeddings.word_embeddings = torch.nn.Embedding(10, 2)
        self.embeddings.position_embeddings = table

    def get_input_embeddings(self):
        return self.embeddings.word_embeddings


@pytest.mark.parametrize(
    ("model", "limit"),
    [
        (Backbone(torch.nn.Embedding(512, 2)), 512),
        (Backbone(torch.nn.Embedding(514, 2, padding_idx=1)), 512),  # positions from 2 to 513
        (Backbone(torch.nn.Embedding(513, 2, padding_idx=0)), 512),
        (Backbone(torch.nn.Embedding(514, 2, padding_idx=1), max_position_embeddings=514), 512),
        (Backbone(max_position_embeddings=8192), 8192),
        (Backbone(), None),
    ],
)
def test_position_limit(model, limit):
    assert position_limit(model) == limit


def test_position_limit_of_each_model_type(tiny, tmp_path, model_type):
    config = transformers.AutoConfig.from_pretrained(tiny.build(tmp_path, model_type))
    assert position_limit(tiny.random_model(config)) == 64


@pytest.mark.parametrize("tokens", [0, 9, 10])
def test_a_tokenizer_of_the_same_size_or_smaller_is_fine(tokens):
    check_vocabulary("here", Backbone(), range(tokens))


def test_a_tokenizer_with_more_tokens_than_the_model_has_rows():
    with pytest.raises(CheckpointError, match="the tokenizer of 'here' has 11 tokens and the model 10: they do not"):
        check_vocabulary("here", Backbone(), range(11))


def test_the_same_where_the_model_is_not_there():
    assert vocabulary_rows(Backbone()) == 10
    check_rows("here", 10, range(10))
    with pytest.raises(CheckpointError, match="the tokenizer of 'here' has 11 tokens and the model 10: they do not"):
        check_rows("here", 10, range(11))
