"""The entries without a class of their own load like any encoder, pooled as their cards say."""

from __future__ import annotations

import pytest

from FlagEmbedding import FlagAutoModel, FlagModel

TEXTS = ["the river", "seven stone windows and a garden, as of the paper letter in the light", "berlin"]


@pytest.mark.parametrize(
    ("name", "model_type", "pooling"),
    [
        ("gte-modernbert-base", "modernbert", "cls"),
        ("gte-large", "bert", "mean"),
        ("gte-base", "bert", "mean"),
        ("gte-small", "bert", "mean"),
        ("gte-large-zh", "bert", "cls"),
        ("gte-base-zh", "bert", "cls"),
        ("gte-small-zh", "bert", "cls"),
    ],
)
def test_the_vectors_are_right(tiny, tmp_path, name, model_type, pooling) -> None:
    folder = tiny.build(tmp_path / name, model_type)
    model = FlagAutoModel.from_finetuned(folder, devices="cpu")
    assert type(model) is FlagModel
    assert abs(model.encode_queries(TEXTS) - tiny.Reference(folder).vectors(TEXTS, pooling)).max() <= 1e-5
