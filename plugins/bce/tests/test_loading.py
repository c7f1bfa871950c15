"""A tiny checkpoint of the model's architecture, through its name."""

from __future__ import annotations

from FlagEmbedding import FlagAutoModel, FlagModel

TEXTS = ["the river", "seven stone windows and a garden, as of the paper letter in the light", "北京"]


def test_the_vectors_are_right(tiny, tmp_path) -> None:
    folder = tiny.build(tmp_path / "bce-embedding-base_v1", "xlm-roberta")
    model = FlagAutoModel.from_finetuned(folder, devices="cpu")
    assert type(model) is FlagModel
    wanted = tiny.Reference(folder).vectors(TEXTS, "cls")
    assert abs(model.encode_queries(TEXTS) - wanted).max() <= 1e-5
    assert abs(model.encode_corpus(TEXTS) - wanted).max() <= 1e-5
