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
    assert lines[0].split() == ["name", "family", "dimension", "max", "length", "licence", "hub", "id"]
    assert ["bge-m3", "bge", "1024", "8192", "MIT", "BAAI/bge-m3"] in [line.split() for line in lines]


def test_models_as_json() -> None:
    rows = {row["name"]: row for row in json.loads(run("models", "--json").stdout)}
    assert (rows["e5-base-v2"]["passage_instruction"], rows["e5-base-v2"]["pooling_method"]) == ("passage: ", "mean")
    assert rows["e5-base-v2"]["registered_by"] == "flagembedding-e5 0.1.0"
    assert rows["bge-m3"]["model_class"] == "flagembedding_bge.m3:M3Embedder"


def test_plugins_as_json() -> None:
    rows = {row["plugin"]: row for row in json.loads(run("plugins", "--json").stdout)}
    assert rows["bge"] == {
        "plugin": "bge",
        "status": "active",
        "distribution": "flagembedding-bge",
        "version": "0.1.0",
        "models": 17,
        "reason": "",
    }


def test_a_disabled_plugin_is_listed_with_the_reason() -> None:
    rows = {
        row["plugin"]: row for row in json.loads(run("plugins", "--json", FLAGEMBEDDING_DISABLE_PLUGINS="e5").stdout)
    }
    assert (rows["e5"]["status"], rows["e5"]["reason"], rows["e5"]["models"]) == (
        "disabled",
        "named in FLAGEMBEDDING_DISABLE_PLUGINS",
        0,
    )


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
