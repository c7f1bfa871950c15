"""Jobs with an M3 model: dense vectors, lexical weights and ColBERT vectors as columns."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs flagembedding-core[jobs]")

import pyarrow as pa
import pyarrow.parquet as pq

from FlagEmbedding.jobs import embed_corpus

TEXTS = ["the question in a garden window", "of the and", "river " * 9, "stone, light and (paper)", "the river"]


@pytest.fixture
def embedded(m3_checkpoint, tmp_path):
    def embed(**options):
        (tmp_path / "a.txt").write_text("\n".join(TEXTS))
        options = {"model_options": {"model_class": "encoder-only-m3"}, "shard_size": 3, **options}
        embed_corpus(
            str(tmp_path / "a.txt"),
            str(tmp_path / "out"),
            str(m3_checkpoint),
            devices="cpu",
            show_progress=False,
            **options,
        )
        return pa.concat_tables([pq.read_table(path) for path in sorted((tmp_path / "out").glob("part-*"))])

    return embed


def test_every_kind_is_a_column(embedded, m3_reference):
    table = embedded(outputs=("dense", "sparse", "colbert"))
    assert table.schema.names == ["id", "embedding", "sparse", "colbert"]
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 32)
    lists = [("indices", pa.list_(pa.int32())), ("values", pa.list_(pa.float32()))]
    assert table.schema.field("sparse").type == pa.struct(lists)
    assert table.schema.field("colbert").type == pa.list_(pa.list_(pa.float32(), 16))
    for text, row in zip(TEXTS, table.to_pylist(), strict=True):
        assert np.abs(np.array(row["embedding"]) - m3_reference.dense(text)).max() < 1e-5
        found = dict(zip(map(str, row["sparse"]["indices"]), row["sparse"]["values"], strict=True))
        assert found == pytest.approx(m3_reference.lexical(text), abs=1e-5)
        assert np.abs(np.array(row["colbert"]) - m3_reference.multi(text)).max() < 1e-5


def test_lexical_weights_alone(embedded, m3_reference):
    table = embedded(outputs="sparse")
    assert table.schema.names == ["id", "sparse"]
    assert [len(row["sparse"]["indices"]) for row in table.to_pylist()] == [len(m3_reference.lexical(t)) for t in TEXTS]


def test_colbert_vectors_as_bytes_have_a_scale_each(embedded, m3_reference):
    table = embedded(outputs="colbert", dtype="int8")
    assert table.schema.field("colbert").type == pa.list_(pa.list_(pa.int8(), 16))
    for text, row in zip(TEXTS, table.to_pylist(), strict=True):
        wanted, scales = m3_reference.multi(text), np.array(row["colbert_scale"])
        apart = np.abs(np.array(row["colbert"]) * scales[:, None] - wanted).max(axis=1)
        assert (apart <= scales / 2 + 1e-5).all()


def test_dense_vectors_are_what_is_given_unless_more_is_asked_for(embedded):
    assert embedded().schema.names == ["id", "embedding"]
