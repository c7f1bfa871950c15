"""The command, run as a user runs it: data on stdout, messages on stderr, honest exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from FlagEmbedding import FlagAutoModel, FlagAutoReranker

COMMAND = Path(sys.executable).with_name("flagembedding")
MODEL = "all-MiniLM-L6-v2"


def run(*arguments: str, stdin: str | None = None, **environ: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "HF_HUB_OFFLINE": "1", **environ}
    return subprocess.run(
        [COMMAND, *arguments], input=stdin, capture_output=True, text=True, env=env, timeout=120, check=False
    )


def vectors(done: subprocess.CompletedProcess[str]) -> np.ndarray:
    assert done.returncode == 0, done.stderr
    return np.array([json.loads(line)["embedding"] for line in done.stdout.splitlines()])


def test_models_as_a_table() -> None:
    lines = run("models").stdout.splitlines()
    assert lines[0].split() == ["name", "kind", "family", "dimension", "max", "length", "licence", "hub", "id"]
    rows = [line.split() for line in lines]
    assert ["bge-m3", "embedder", "bge", "1024", "8192", "MIT", "BAAI/bge-m3"] in rows
    assert ["bge-reranker-v2-gemma", "reranker", "bge", "1024", "Gemma", "BAAI/bge-reranker-v2-gemma"] in rows


def test_a_model_that_cannot_be_run_says_so_in_the_table() -> None:
    [line] = [line for line in run("models").stdout.splitlines() if line.startswith("jina-reranker-v1-turbo-en")]
    assert line.endswith("jinaai/jina-reranker-v1-turbo-en (cannot be run here)")


@pytest.mark.parametrize(
    ("kind", "there", "absent"),
    [("reranker", "bge-reranker-base", "bge-m3"), ("embedder", "bge-m3", "bge-reranker-base")],
)
def test_models_of_one_kind(kind: str, there: str, absent: str) -> None:
    rows = {row["name"]: row for row in json.loads(run("models", "--kind", kind, "--json").stdout)}
    assert {row["kind"] for row in rows.values()} == {kind}
    assert (there in rows, absent in rows) == (True, False)
    names = {line.split()[0] for line in run("models", "--kind", kind).stdout.splitlines()[1:]}
    assert names == set(rows)


def test_models_as_json() -> None:
    rows = {row["name"]: row for row in json.loads(run("models", "--json").stdout)}
    assert (rows["e5-base-v2"]["passage_instruction"], rows["e5-base-v2"]["pooling_method"]) == ("passage: ", "mean")
    assert rows["e5-base-v2"]["registered_by"] == "flagembedding-e5 0.1.0"
    assert (rows["bge-m3"]["kind"], rows["bge-m3"]["model_class"]) == ("embedder", "flagembedding_bge.m3:M3Embedder")


def test_rerankers_as_json() -> None:
    rows = {row["name"]: row for row in json.loads(run("models", "--json").stdout)}
    assert rows["gte-multilingual-reranker-base"] == {
        "name": "gte-multilingual-reranker-base",
        "kind": "reranker",
        "registered_by": "flagembedding-gte 0.1.0",
        "model_class": "flagembedding_gte.native:GteReranker",
        "trust_remote_code": False,
        "hub_id": "Alibaba-NLP/gte-multilingual-reranker-base",
        "max_length": 8192,
        "options": {},
        "languages": ["multilingual"],
        "licence": "Apache-2.0",
        "source": rows["gte-multilingual-reranker-base"]["source"],
        "unsupported": None,
    }
    assert "transformers 5" in rows["jina-reranker-v2-base-multilingual"]["unsupported"]


def test_plugins_as_json() -> None:
    rows = {row["plugin"]: row for row in json.loads(run("plugins", "--json").stdout)}
    assert rows["bge"] == {
        "plugin": "bge",
        "status": "active",
        "distribution": "flagembedding-bge",
        "version": "0.1.0",
        "embedders": 17,
        "rerankers": 6,
        "reason": "",
    }
    assert (rows["jina"]["embedders"], rows["jina"]["rerankers"]) == (0, 2)


def test_plugins_as_a_table() -> None:
    lines = run("plugins").stdout.splitlines()
    assert lines[0].split() == ["plugin", "status", "distribution", "version", "embedders", "rerankers", "reason"]
    assert ["gte", "active", "flagembedding-gte", "0.1.0", "13", "2"] in [line.split() for line in lines]


def test_a_disabled_plugin_is_listed_with_the_reason() -> None:
    rows = {
        row["plugin"]: row for row in json.loads(run("plugins", "--json", FLAGEMBEDDING_DISABLE_PLUGINS="bge").stdout)
    }
    assert (rows["bge"]["status"], rows["bge"]["reason"]) == ("disabled", "named in FLAGEMBEDDING_DISABLE_PLUGINS")
    assert (rows["bge"]["embedders"], rows["bge"]["rerankers"]) == (0, 0)


def test_no_plugin_at_all() -> None:
    done = run("models", FLAGEMBEDDING_PLUGINS="")
    assert (done.returncode, done.stdout) == (0, "")
    assert "pip install" in done.stderr


def test_encode_texts() -> None:
    expected = FlagAutoModel.from_finetuned(MODEL, devices="cpu").encode(["a text", "another"])
    found = vectors(run("encode", MODEL, "a text", "another"))
    assert np.abs(found - expected).max() <= 1e-6


def test_encode_the_lines_of_stdin() -> None:
    done = run("encode", MODEL, "-i", "-", "--truncate-dim", "8", stdin="a text\r\n\nzürich 東京\n")
    assert [json.loads(line)["text"] for line in done.stdout.splitlines()] == ["a text", "", "zürich 東京"]
    assert vectors(done).shape == (3, 8)


def test_encode_a_file_into_a_file(tmp_path: Path) -> None:
    (tmp_path / "in.txt").write_text("one\ntwo\n", encoding="utf-8")
    done = run("encode", MODEL, "-i", str(tmp_path / "in.txt"), "-o", str(tmp_path / "out.jsonl"))
    assert (done.returncode, done.stdout) == (0, "")
    written = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["text"] for line in written.splitlines()] == ["one", "two"]


def test_encode_as_query_uses_the_instruction() -> None:
    model = FlagAutoModel.from_finetuned(MODEL, devices="cpu", query_instruction_for_retrieval="query: ")
    found = vectors(run("encode", MODEL, "what?", "--as", "query", "--instruction", "query: "))
    assert np.abs(found - model.encode_queries(["what?"])).max() <= 1e-6
    assert np.abs(found - model.encode(["query: what?"])).max() <= 1e-6


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("encode", MODEL), 2, "give either TEXT or --input"),
        (("encode", "unknown-model", "x"), 1, "unknown model 'unknown-model'"),
        (("encode", "bge-bas-en", "x"), 1, "Did you mean 'bge-base-en'"),
        (("encode", "bge-reranker-base", "x"), 1, "Load it with FlagAutoReranker"),
        (("models", "--kind", "classifier"), 2, "'classifier' is not one of 'embedder', 'reranker'"),
        (("encode", MODEL, "x", "--device", "cuda:77"), 1, "no device 'cuda:77'"),
        (("encode", MODEL, "x", "--truncate-dim", "9999"), 1, "384 dimensions"),
        (("encode", MODEL, "-i", "no-such-file"), 2, "No such file"),
        (("encod",), 2, "No such command 'encod'"),
    ],
)
def test_failures_are_messages_with_an_exit_code(arguments: tuple[str, ...], code: int, message: str) -> None:
    done = run(*arguments)
    assert (done.returncode, done.stdout) == (code, "")
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_show_says_where_each_value_comes_from() -> None:
    rows = {row["setting"]: row for row in json.loads(run("show", "intfloat/e5-base-v2/", "--json").stdout)}
    assert (rows["kind"]["value"], rows["loaded from"]["value"]) == ("embedder", "intfloat/e5-base-v2")
    assert rows["passage_instruction"] == {
        "setting": "passage_instruction",
        "from": "flagembedding-e5 0.1.0",
        "value": "passage: ",
    }
    assert rows["is_causal"] == {"setting": "is_causal", "from": "default", "value": None}
    assert rows["matryoshka_dims"] == {"setting": "matryoshka_dims", "from": "default", "value": []}
    assert rows["options"] == {"setting": "options", "from": "default", "value": {}}


def test_show_says_who_set_a_value_to_false() -> None:
    rows = {row["setting"]: row for row in json.loads(run("show", "gte-Qwen2-7B-instruct", "--json").stdout)}
    owner = "flagembedding-gte 0.1.0"
    assert rows["is_causal"] == {"setting": "is_causal", "from": owner, "value": False}
    assert rows["trust_remote_code"] == {"setting": "trust_remote_code", "from": "default", "value": False}


def test_show_of_a_folder_that_nobody_registered(tiny: Any, tmp_path: Path) -> None:
    folder = tiny.add_sentence_transformers_files(tiny.build(tmp_path / "own", "bert"), "mean", 77)
    lines = [line.split() for line in run("show", str(folder)).stdout.splitlines()]
    assert ["pooling_method", "the", "model's", "files", "mean"] in lines
    assert ["max_length", "the", "model's", "files", "77"] in lines
    assert ["append_eos", "default", "False"] in lines


def test_show_of_a_reranker_and_of_one_that_cannot_be_run() -> None:
    assert "reranker" in run("show", "bge-reranker-v2-m3").stdout
    unsupported = [line for line in run("show", "jina-reranker-v1-turbo-en").stdout.splitlines() if "ALiBi" in line]
    assert len(unsupported) == 1
    unknown = run("show", "bge-m33")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "Did you mean 'bge-m3'" in unknown.stderr


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.jsonl", '{"id": 1, "body": "the garden"}\n{"id": 2, "body": "a river"}\n'),
        ("a.csv", '\ufeffid,body\n1,"the garden"\n2,a river\n'),  # as Excel begins it
        ("a.tsv", "id\tbody\n1\tthe garden\n2\ta river\n"),
    ],
)
def test_rows_keep_their_other_columns(name: str, content: str, tmp_path: Path) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    done = run("encode", MODEL, "-i", str(tmp_path / name), "--column", "body")
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [list(row) for row in rows] == [["id", "body", "embedding"]] * 2
    assert [(str(row["id"]), row["body"]) for row in rows] == [("1", "the garden"), ("2", "a river")]
    wanted = FlagAutoModel.from_finetuned(MODEL, devices="cpu").encode(["the garden", "a river"])
    np.testing.assert_allclose(vectors(done), wanted, rtol=0, atol=1e-5)


def test_rows_that_cannot_be_read() -> None:
    """The others are in the core's tests of what the commands read."""
    done = run("encode", MODEL, "-i", "-", "--format", "csv", stdin="id,body\n1,a\n")
    assert (done.returncode, done.stdout) == (1, "")
    assert "line 2 of <stdin> has no text in the column 'text' (columns: id, body)" in done.stderr
    assert "Traceback" not in done.stderr


def test_rerank_sorts_and_keeps_the_other_columns(tiny: Any, tmp_path: Path) -> None:
    folder = str(tiny.build_classifier(tmp_path / "reranker", "bert"))
    texts = ["the garden", "a river", "the river of light"]
    rows = [json.dumps({"id": index, "text": text}) for index, text in enumerate(texts)]
    done = run("rerank", folder, "-q", "river", "-i", "-", "--format", "jsonl", "-n", "2", stdin="\n".join(rows))
    hits = [json.loads(line) for line in done.stdout.splitlines()]
    reranker = FlagAutoReranker.from_finetuned(folder, devices="cpu")
    wanted = reranker.rank("river", texts, 2)
    assert [list(hit) for hit in hits] == [["id", "text", "index", "score"]] * 2
    assert [hit["id"] for hit in hits] == [hit["index"] for hit in hits] == [hit["index"] for hit in wanted]
    assert [hit["text"] for hit in hits] == [hit["text"] for hit in wanted]
    assert [hit["score"] for hit in hits] == pytest.approx([hit["score"] for hit in wanted], abs=1e-5)
    assert run("rerank", folder, "a", "b").returncode == 2  # no query
    again = run("rerank", folder, "-q", "river", "-i", "-", "--format", "jsonl", stdin=done.stdout)
    assert (again.returncode, again.stdout) == (1, "")
    assert "line 1 of <stdin> has a column 'index' of its own" in again.stderr


def test_doctor() -> None:
    done = run("doctor")
    assert done.returncode == 0, done.stdout
    assert "HF_HUB_OFFLINE is set" in done.stdout
    rows = {row["what"]: row for row in json.loads(run("doctor", "--json", "--offline").stdout)}
    assert rows["plugin bge"] == {"ok": True, "what": "plugin bge", "found": "active, flagembedding-bge 0.1.0"}


def test_doctor_finds_a_hub_that_does_not_answer() -> None:
    done = run("doctor", HF_HUB_OFFLINE="0", HF_ENDPOINT="http://127.0.0.1:9")
    assert done.returncode == 1
    assert "PROBLEM  http://127.0.0.1:9" in done.stdout


@pytest.mark.parametrize(
    ("torch", "said"),
    [
        ("raise ImportError('no module named torch')", "ImportError: no module named torch"),
        ("raise OSError('libcudart.so.12: cannot open shared object file')", "OSError: libcudart.so.12: cannot open"),
        ("", "AttributeError: module 'torch' has no attribute 'device'"),
    ],
)
def test_doctor_goes_on_where_torch_is_broken(torch: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "torch.py").write_text(torch, encoding="utf-8")
    done = run("doctor", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1, done.stderr
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    [(_, _, found)] = [line for line in lines if line[:2] == ["PROBLEM", "devices"]]
    assert found.startswith(f"cannot be looked at: {said}")
    assert ["ok", "hub"] in [line[:2] for line in lines]  # what comes after it is looked at all the same


def test_doctor_finds_the_package_that_overwrites_ours(tmp_path: Path) -> None:
    other = tmp_path / "FlagEmbedding-1.4.2.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: FlagEmbedding\nVersion: 1.4.2\n", encoding="utf-8")
    done = run("doctor", "--offline", PYTHONPATH=str(tmp_path))
    assert done.returncode == 1
    assert "flagembedding-core and FlagEmbedding 1.4.2 overwrite each other's files" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    assert "_FLAGEMBEDDING_COMPLETE" in run("completion", shell).stdout
    completed = run(COMP_WORDS="flagembedding re", COMP_CWORD="1", _FLAGEMBEDDING_COMPLETE="bash_complete").stdout
    assert completed.split() == ["plain,rerank"]
