"""The command, run as a user runs it: data on stdout, messages on stderr, honest exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from FlagEmbedding import FlagAutoModel

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
