"""A job on this machine: what it writes, that it goes on, and what it refuses to go on with."""

from __future__ import annotations

import json
import os
import shutil

import numpy as np
import pytest

pytest.importorskip("pyarrow", reason="needs flagembedding-core[jobs]")

import pyarrow as pa
import pyarrow.parquet as pq

from FlagEmbedding import FlagAutoModel, jobs
from FlagEmbedding.errors import InputError, JobChangedError, JobError, OptionError
from FlagEmbedding.jobs import EmbedJob, run
from FlagEmbedding.jobs.folder import LocalFolder
from FlagEmbedding.jobs.shards import finished


def read_output(folder):
    return pa.concat_tables([pq.read_table(path) for path in sorted(folder.glob("part-*.parquet"))])


def vectors_in(table, column="embedding"):
    values = table[column].combine_chunks()
    return np.asarray(values.flatten()).reshape(len(values), -1)


def stamps(folder):
    """Return when each shard was written."""
    return {path.name: path.stat().st_mtime_ns for path in folder.glob("part-*")}


@pytest.fixture(scope="module")
def loaded(checkpoint):
    return FlagAutoModel.from_finetuned(str(checkpoint("bert")), devices="cpu")


def test_the_output_has_every_row_with_its_vector(embed, corpus, texts, loaded, tmp_path):
    report = embed(str(corpus), id_column="doc", columns=("year", "text"))
    table = read_output(tmp_path / "out")
    assert table.schema.names == ["id", "year", "text", "embedding"]
    assert table.schema.field("embedding").type == pa.list_(pa.float32(), 32)
    assert table["id"].to_pylist() == [f"d{number}" for number in range(1000)]
    assert (table["year"].to_pylist(), table["text"].to_pylist()) == ([*range(1000, 2000)], texts)
    assert np.abs(vectors_in(table) - loaded.encode_corpus(texts)).max() < 1e-6
    assert (report.shards, report.rows, report.embedded, report.rejected, report.found) == (8, 1000, 1000, 0, 0)
    assert [pq.read_metadata(path).num_rows for path in sorted((tmp_path / "out").glob("part-*"))] == [*[128] * 7, 104]
    assert json.loads((tmp_path / "out/report.json").read_text()) == {
        "shards": 8, "rows": 1000, "embedded": 1000, "rejected": 0,
    }  # fmt: skip


def test_rows_without_ids_are_numbered(embed, corpus, tmp_path):
    embed(str(corpus))
    table = read_output(tmp_path / "out")
    assert (table.schema.names, table.schema.field("id").type) == (["id", "embedding"], pa.int64())
    assert table["id"].to_pylist() == [*range(1000)]


def test_vectors_do_not_depend_on_where_the_input_is_cut(embed, corpus, tmp_path):
    embed(str(corpus), "a")
    embed(str(corpus), "b", shard_size=333, block_size=77)
    apart = np.abs(vectors_in(read_output(tmp_path / "a")) - vectors_in(read_output(tmp_path / "b"))).max()
    assert apart < 1e-6


@pytest.mark.parametrize(("role", "method"), [("query", "encode_queries"), ("text", "encode")])
def test_the_role_chooses_the_instruction(embed, corpus, texts, model, tmp_path, role, method):
    options = {"query_instruction_for_retrieval": "question: "}
    embed(str(corpus), role=role, model_options=options)
    wanted = getattr(FlagAutoModel.from_finetuned(model, devices="cpu", **options), method)(texts)
    assert np.abs(vectors_in(read_output(tmp_path / "out")) - wanted).max() < 1e-6


def test_half_precision_and_bytes(embed, corpus, texts, loaded, tmp_path):
    wanted = loaded.encode_corpus(texts)
    embed(str(corpus), "half", dtype="float16")
    half = read_output(tmp_path / "half")
    assert half.schema.field("embedding").type == pa.list_(pa.float16(), 32)
    assert np.abs(vectors_in(half) - wanted).max() < 2**-11
    embed(str(corpus), "bytes", dtype="int8")
    table = read_output(tmp_path / "bytes")
    assert table.schema.field("embedding").type == pa.list_(pa.int8(), 32)
    values, scales = vectors_in(table), table["embedding_scale"].to_numpy()
    assert np.abs(values).max(axis=1).tolist() == [127] * 1000
    assert (np.abs(values * scales[:, None] - wanted).max(axis=1) <= scales / 2 + 1e-6).all()


def test_max_length_and_truncate_dim_reach_the_model(embed, corpus, texts, loaded, tmp_path):
    embed(str(corpus), max_length=4, model_options={"truncate_dim": 8})
    vectors = vectors_in(read_output(tmp_path / "out"))
    wanted = loaded.encode_corpus(texts, max_length=4, truncate_dim=8)
    assert vectors.shape == (1000, 8)
    assert np.abs(vectors - wanted).max() < 1e-6


def test_lexical_weights_are_refused_where_a_model_has_none(embed, corpus):
    with pytest.raises(OptionError, match=r"gives dense vectors only, and outputs asks for dense, sparse"):
        embed(str(corpus), outputs=("dense", "sparse"))


def test_what_is_finished_is_not_done_again(embed, corpus, tmp_path):
    embed(str(corpus))
    whole, before = read_output(tmp_path / "out"), stamps(tmp_path / "out")
    for number in (2, 3, 7):
        (tmp_path / f"out/part-{number:06d}.parquet").unlink()
    report = embed(str(corpus))
    after = stamps(tmp_path / "out")
    assert (report.found, report.shards, report.embedded) == (5, 8, 1000)
    assert {name for name in after if after[name] != before[name]} == {f"part-00000{n}.parquet" for n in (2, 3, 7)}
    again = read_output(tmp_path / "out")
    assert again.drop(["embedding"]).equals(whole.drop(["embedding"]))
    assert np.abs(vectors_in(again) - vectors_in(whole)).max() < 1e-6


@pytest.mark.parametrize("count", [1000, 1024])
def test_an_input_that_nobody_has_counted_goes_on_too(embed, texts, tmp_path, count):
    """1024 rows end where a shard ends: then only reading tells that there are no more."""
    (tmp_path / "a.txt").write_text("\n".join([*texts, *texts][:count]))
    assert embed(str(tmp_path / "a.txt")).shards == 8
    before = stamps(tmp_path / "out")
    assert embed(str(tmp_path / "a.txt")).found == 8
    (tmp_path / "out/part-000004.parquet").unlink()
    assert embed(str(tmp_path / "a.txt")).embedded == count
    after = stamps(tmp_path / "out")
    assert [name for name in after if after[name] != before[name]] == ["part-000004.parquet"]


def test_a_job_that_is_finished_writes_nothing(embed, corpus, tmp_path):
    embed(str(corpus))
    before = stamps(tmp_path / "out")
    report = embed(str(corpus))
    assert (report.found, report.rate, stamps(tmp_path / "out")) == (8, 0.0, before)


CHANGES = {
    "a setting": ({"dtype": "float16"}, r'setting dtype: "float32" then, "float16" now'),
    "the shards": ({"shard_size": 64}, "setting shard_size: 128 then, 64 now"),
    "the columns": ({"columns": ("year",)}, r'setting columns: \[\] then, \["year"\] now'),
    "the model's length": ({"max_length": 9}, "setting max_length: null then, 9 now"),
    "an option of the model": ({"model_options": {"normalize_embeddings": False}}, "normalize_embeddings: true then"),
    "the pooling": ({"model_options": {"pooling_method": "mean"}}, 'model pooling: "cls" then, "mean" now'),
    "the precision": ({"model_options": {"use_bf16": True}}, 'model precision: "float32" then, "bfloat16" now'),
    "the instruction": (
        {"model_options": {"passage_instruction_for_retrieval": "p: "}},
        'passage_instruction_for_retrieval: null then, "p: " now',
    ),
}


@pytest.fixture(scope="module")
def begun(checkpoint, tmp_path_factory):
    """A finished job of a few texts; ``begun(**options)`` goes on with it."""
    folder = tmp_path_factory.mktemp("begun")
    rows = {"text": ["the river", "stone", "light"], "year": [1, 2, 3]}
    pq.write_table(pa.table(rows), folder / "a.parquet")

    def again(**options):
        settings = {"shard_size": 128, "devices": "cpu", "show_progress": False, **options}
        return run(EmbedJob(str(folder / "a.parquet"), str(folder / "out"), str(checkpoint("bert")), **settings))

    again()
    return again


@pytest.mark.parametrize(("options", "message"), CHANGES.values(), ids=CHANGES.keys())
def test_a_change_is_refused_with_the_reason(begun, options, message):
    with pytest.raises(JobChangedError, match=message):
        begun(**options)
    assert begun().found == 1


def test_other_weights_are_refused(embed, corpus, model, tiny, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(model, copy)
    job = EmbedJob(str(corpus), str(tmp_path / "out"), str(copy), shard_size=128, devices="cpu", show_progress=False)
    run(job)
    embed(str(corpus))  # the same files in another folder are the same model
    weights = bytearray((copy / "model.safetensors").read_bytes())
    weights[-1] ^= 1
    (copy / "model.safetensors").write_bytes(weights)
    with pytest.raises(JobChangedError, match=r"model file model\.safetensors: .* then, .* now"):
        run(job)
    tiny.change_json(copy / "tokenizer_config.json", model_max_length=32)
    with pytest.raises(JobChangedError, match=r"model file tokenizer_config\.json"):
        run(job)


def test_another_input_is_refused(embed, corpus, tmp_path):
    embed(str(corpus))
    os.utime(corpus, ns=(1, 1))
    with pytest.raises(JobChangedError, match=r"input .*corpus\.parquet: .*mtime_ns=.* then, .*mtime_ns=1"):
        embed(str(corpus))
    shutil.copy(corpus, tmp_path / "more.parquet")
    with pytest.raises(JobChangedError, match=r"input .*more\.parquet: not there then"):
        embed([str(corpus), str(tmp_path / "more.parquet")])


def test_an_input_that_is_hashed_may_be_copied_and_not_changed(embed, corpus, tmp_path):
    embed(str(corpus), hash_input=True)
    os.utime(corpus, ns=(1, 1))
    assert embed(str(corpus), hash_input=True).found == 8
    content = corpus.read_bytes()
    corpus.write_bytes(content.replace(b"d999", b"d998"))
    with pytest.raises(JobChangedError, match=r"input .*corpus\.parquet.*digest"):
        embed(str(corpus), hash_input=True)


def test_what_changes_no_vector_may_change(begun):
    assert begun(batch_size=3, on_error="reject", block_size=17, show_progress=True).found == 1


def test_a_folder_with_other_things_in_it_is_refused(embed, corpus, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out/thesis.doc").write_text("mine")
    with pytest.raises(JobError, match=r"no output of a job: it has no manifest\.json, and 'thesis\.doc' is there"):
        embed(str(corpus))


def test_a_shard_of_another_job_is_refused(embed, corpus, tmp_path):
    embed(str(corpus))
    embed(str(corpus), "other", dtype="float16")
    shutil.copy(tmp_path / "other/part-000001.parquet", tmp_path / "out/part-000001.parquet")
    with pytest.raises(JobChangedError, match=r"part-000001\.parquet in .* was not written by this job"):
        embed(str(corpus))
    shutil.copy(tmp_path / "out/part-000000.parquet", tmp_path / "out/part-000001.parquet")
    with pytest.raises(JobChangedError, match=r"part-000001\.parquet"):
        embed(str(corpus))
    pq.write_table(pa.table({"id": [1], "embedding": [[0.5]]}), tmp_path / "out/part-000001.parquet")
    with pytest.raises(JobChangedError, match=r"part-000001\.parquet in .* was not written by this job"):
        embed(str(corpus))


def test_a_damaged_shard_says_what_to_do(embed, corpus, tmp_path):
    embed(str(corpus))
    path = tmp_path / "out/part-000001.parquet"
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(JobError, match=r"part-000001\.parquet in .* is damaged .* Remove it"):
        embed(str(corpus))
    path.unlink()
    assert embed(str(corpus)).embedded == 1000


def test_a_bad_row_stops_the_job_and_the_shards_before_it_stay(embed, tmp_path):
    rows = [f"text {number}" for number in range(300)]
    pq.write_table(pa.table({"text": [*rows[:200], None, *rows[200:]]}), tmp_path / "a.parquet")
    with pytest.raises(InputError, match=r"row 200 \(row 200 of .*a\.parquet.*the text is null.*on_error='reject'"):
        embed(str(tmp_path / "a.parquet"))
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.name != ".lock") == [
        "manifest.json", "part-000000.parquet",
    ]  # fmt: skip
    report = embed(str(tmp_path / "a.parquet"), on_error="reject")
    assert (report.found, report.rows, report.embedded, report.rejected) == (1, 301, 300, 1)
    [line] = (tmp_path / "out/rejects-000001.jsonl").read_text().splitlines()
    path = str(tmp_path / "a.parquet")
    assert json.loads(line) == {
        "row": 200, "file": path, "file_row": 200, "reason": "the text is null", "text": None,
    }  # fmt: skip
    assert read_output(tmp_path / "out")["id"].to_pylist() == [*range(200), *range(201, 301)]


def test_a_shard_of_nothing_but_rejects_is_there_and_empty(embed, tmp_path):
    rows = [*["the river"] * 128, *[None] * 128, "stone"]
    pq.write_table(pa.table({"text": pa.array(rows, pa.string())}), tmp_path / "a.parquet")
    report = embed(str(tmp_path / "a.parquet"), on_error="reject")
    assert (report.shards, report.embedded, report.rejected) == (3, 129, 128)
    empty = pq.read_table(tmp_path / "out/part-000001.parquet")
    assert (empty.num_rows, empty.schema.field("embedding").type) == (0, pa.list_(pa.float32(), 32))
    assert embed(str(tmp_path / "a.parquet"), on_error="reject").found == 3


def test_texts_that_a_tokenizer_makes_nothing_of_are_rejects(tiny, tmp_path):
    """A decoder's tokenizer that adds no token of its own."""
    folder = tiny.build_decoder(tmp_path / "bare", "qwen2", start=False)
    tiny.change_json(folder / "tokenizer_config.json", add_eos_token=False)
    (tmp_path / "a.txt").write_text("the river\n\nstone\n \n")
    options = {"shard_size": 128, "devices": "cpu", "show_progress": False, "on_error": "reject"}
    report = run(EmbedJob(str(tmp_path / "a.txt"), str(tmp_path / "out"), str(folder), **options))
    lines = [json.loads(line) for line in (tmp_path / "out/rejects-000000.jsonl").read_text().splitlines()]
    assert report.embedded + report.rejected == 4
    assert [line["row"] for line in lines] == [1]
    assert "no token" in lines[0]["reason"]


def test_the_names_of_the_facade():
    assert sorted(jobs.__all__) == ["EmbedJob", "Report", "embed_corpus", "run"]
    assert all(callable(getattr(jobs, name)) for name in jobs.__all__)


def test_shards_say_what_they_are(embed, corpus, tmp_path):
    embed(str(corpus))
    identity = json.loads((tmp_path / "out/manifest.json").read_text())["identity"]
    found = finished(LocalFolder(tmp_path / "out"), identity)
    assert [(shard.first, shard.rows) for _, shard in sorted(found.items())] == [
        (128 * number, 128 if number < 7 else 104) for number in range(8)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dtype": "float8"}, "dtype is one of float32, float16, int8, not 'float8'"),
        ({"shard_size": 0}, "shard_size must be a positive number"),
        ({"columns": ("embedding",)}, "the column 'embedding' cannot be kept"),
        ({"columns": ("a", "a")}, "names 'a' twice"),
        ({"outputs": ()}, "outputs is empty"),
        ({"inputs": ()}, "inputs names no file"),
        ({"on_error": "ignore"}, "on_error is one of stop, reject"),
    ],
)
def test_options_are_checked_before_anything_is_read(options, message):
    with pytest.raises(OptionError, match=message):
        EmbedJob(**{"inputs": "a", "output": "b", "model": "c", **options})
