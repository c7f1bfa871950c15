"""Exports are made once, kept whole, and made anew when the model, or what is kept of it, is another."""

from __future__ import annotations

import errno
import json
import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pytest
import safetensors.torch
import torch
import transformers

from FlagEmbedding import FlagLLMModel, FlagModel
from FlagEmbedding.engine.fingerprint import model_files
from FlagEmbedding.errors import OptionError
from flagembedding_onnx import cache as kept
from flagembedding_onnx import exporting, fingerprint
from flagembedding_onnx.errors import ExportError

LOADS = """
import sys
from FlagEmbedding import FlagModel
print("ready", flush=True)
sys.stdin.readline()
print(FlagModel(sys.argv[1], engine="onnx", devices="cpu").encode("the river").tolist())
"""


def entries(cache):
    return sorted(path.name for path in cache.iterdir()) if cache.is_dir() else []


def test_the_second_load_exports_nothing(load, cache, exports):
    first, second = load().encode("the river"), load().encode("the river")
    assert np.array_equal(first, second)
    assert (len(exports), len(entries(cache))) == (1, 1)
    [about] = cache.glob("*/about.json")
    assert json.loads(about.read_text())["apart"] <= exporting.TOLERANCE


def test_a_folder_that_was_moved_is_the_same_model(folder, load, cache, exports):
    load()
    moved = folder.rename(folder.with_name("elsewhere"))
    FlagModel(str(moved), engine="onnx", devices="cpu")
    assert len(exports) == 1


def test_other_weights_of_the_same_size_and_time_are_another_model(folder, load, cache, exports):
    before, path = load().encode("the river"), folder / "model.safetensors"
    at, weights = path.stat(), safetensors.torch.load_file(path)
    weights["embeddings.LayerNorm.bias"][3] += 0.5
    safetensors.torch.save_file(weights, path, {"format": "pt"})
    os.utime(path, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert (path.stat().st_size, path.stat().st_mtime_ns) == (at.st_size, at.st_mtime_ns)
    assert np.abs(load().encode("the river") - before).max() > 1e-3
    assert (len(exports), len(entries(cache))) == (2, 2)


def test_another_configuration_is_another_model(folder, load, cache, exports, tiny):
    before = load().encode("the river")
    tiny.change_json(folder / "config.json", layer_norm_eps=0.5)
    assert np.abs(load().encode("the river") - before).max() > 1e-3
    assert len(exports) == 2


def test_what_the_caller_says_of_the_configuration_counts(tiny, tmp_path, cache, exports):
    folder = tiny.build_decoder(tmp_path / "decoder", "qwen2", start=False)
    one, other = (
        FlagLLMModel(str(folder), engine="onnx", devices="cpu", is_causal=causal).encode("the river of light")
        for causal in (True, False)
    )
    assert np.abs(one - other).max() > 1e-3
    assert (len(exports), len(entries(cache))) == (2, 2)


@pytest.mark.parametrize("package", ["flagembedding-onnx", "onnx", "onnxruntime", "torch", "transformers"])
def test_another_version_of_what_exports_is_another_export(load, cache, exports, monkeypatch, package):
    load()
    version = fingerprint.metadata.version
    monkeypatch.setattr(fingerprint.metadata, "version", lambda name: "9.9" if name == package else version(name))
    load()
    assert len(exports) == 2


def cut(path):
    path.write_bytes(path.read_bytes()[:-7])


def empty(path):
    path.write_bytes(b"")


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        *((name, damage) for name in ("model.onnx", "model.onnx.data") for damage in (cut, empty, flip, Path.unlink)),
        *(("about.json", damage) for damage in (cut, empty, Path.unlink)),
    ],
)
def test_a_damaged_entry_is_made_anew_and_said(load, cache, exports, caplog, name, damage):
    wanted = load().encode("the river")
    [path] = cache.glob(f"*/{name}")
    damage(path)
    with caplog.at_level(logging.WARNING, logger="flagembedding_onnx"):
        assert np.array_equal(load().encode("the river"), wanted)
    [record] = caplog.records
    assert "is made anew" in record.getMessage()
    assert str(cache) in record.getMessage()
    assert len(exports) == 2
    assert np.array_equal(load().encode("the river"), wanted)
    assert (len(exports), len(entries(cache))) == (2, 1)


def test_an_entry_that_onnxruntime_does_not_open_is_an_error_in_the_end(load, cache, exports, monkeypatch):
    load()

    def refuse(path):
        raise RuntimeError("no kernel")

    monkeypatch.setattr("flagembedding_onnx.engine.open_session", refuse)
    with pytest.raises(ExportError, match=r"cannot be read, however often it is written: .*no kernel") as caught:
        load()
    assert caught.value.__cause__ is not None
    assert len(exports) == 3


def test_two_processes_at_once(folder, cache):
    run = [sys.executable, "-W", "error::UserWarning", "-c", LOADS, str(folder)]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True, "env": env}
    both = [subprocess.Popen(run, **pipes) for _ in range(2)]
    for process in both:
        assert process.stdout.readline() == "ready\n"
    answers = [process.communicate("\n", timeout=300) for process in both]
    assert [process.returncode for process in both] == [0, 0], answers
    assert [said for _, said in answers] == ["", ""]  # nothing is printed
    one, other = (json.loads(vector) for vector, _ in answers)
    assert one == other
    assert len(entries(cache)) == 1


def test_another_process_was_first(load, cache, exports, monkeypatch):
    """Between looking and renaming: its export counts, ours is let go."""
    move = kept._move

    def late(whole, place):
        if not place.exists():
            monkeypatch.setattr(kept, "_move", move)
            load()
        move(whole, place)

    monkeypatch.setattr(kept, "_move", late)
    assert load().encode("the river").shape == (32,)
    assert (len(exports), len(entries(cache))) == (2, 1)


@pytest.mark.parametrize("module", [(onnx, "save_model"), (torch.onnx, "export"), (exporting, "write_about")])
def test_a_full_disk(load, cache, exports, monkeypatch, module):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(*module, full)
        with pytest.raises(ExportError, match=f"cannot be written to '{cache}' .*No space.* another folder in FLAG"):
            load()
    assert entries(cache) == []
    load()
    assert len(exports) == 1


@pytest.mark.skipif(os.name != "posix", reason="needs permissions")
def test_a_cache_that_is_a_file(load, tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv(kept.ENVIRONMENT, str(tmp_path / "file" / "cache"))
    with pytest.raises(ExportError, match="cannot be written"):
        load()


def test_an_export_that_is_broken_off_leaves_nothing(load, cache, monkeypatch):
    def interrupted(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(exporting, "write_about", interrupted)
        with pytest.raises(KeyboardInterrupt):
            load()
    assert entries(cache) == []


def test_what_a_killed_export_left_is_taken_for_nothing_and_removed_after_a_day(load, cache, exports):
    old, new = cache / f"{kept._PART}old", cache / f"{kept._PART}new"
    for part in (old, new):
        (part / "entry").mkdir(parents=True)
        (part / "entry/model.onnx").write_text("half")
    os.utime(old, (time.time() - 25 * 3600,) * 2)
    load()
    assert (len(exports), old.exists(), new.exists()) == (1, False, True)


def test_an_export_that_gives_something_else_is_refused(load, cache, monkeypatch):
    optimised = exporting._optimised

    def changed(model, path):
        with torch.no_grad():
            graph = optimised(model, path)
            model.embeddings.LayerNorm.bias[0] += 0.1
        return graph

    monkeypatch.setattr(exporting, "_optimised", changed)
    with pytest.raises(OptionError, match=r"cannot be run by engine='onnx': its export differs by \d\.\de-0\d from"):
        load()
    assert entries(cache) == []


def test_a_model_that_cannot_be_exported(load, cache, monkeypatch):
    def fail(*_, **__):
        raise torch.onnx.errors.UnsupportedOperatorError("aten::acme", 17, None)

    monkeypatch.setattr(torch.onnx, "export", fail)
    with pytest.raises(OptionError, match=r"\(bert\) cannot be exported to ONNX: UnsupportedOperatorError") as caught:
        load()
    assert caught.value.__cause__ is not None
    assert entries(cache) == []


def test_where_it_is(monkeypatch, tmp_path):
    monkeypatch.delenv(kept.ENVIRONMENT)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert kept.cache_folder() == tmp_path / ".cache/flagembedding/onnx"
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert kept.cache_folder() == tmp_path / "xdg/flagembedding/onnx"
    monkeypatch.setenv(kept.ENVIRONMENT, "~/mine")
    assert kept.cache_folder() == tmp_path / "mine"


def test_the_fingerprint_is_of_the_weights_that_are_loaded(folder):
    """safetensors where there are some, as transformers has it."""
    before = {path.name for path in model_files(folder)}
    (folder / "pytorch_model.bin").write_bytes(b"other")
    assert {path.name for path in model_files(folder)} == before == {"config.json", "model.safetensors"}
    (folder / "model.safetensors").unlink()
    assert {path.name for path in model_files(folder)} == {"config.json", "pytorch_model.bin"}


def test_a_missing_weight_is_the_cores_error(folder, load, cache):
    transformers.AutoConfig.from_pretrained(folder)
    path = folder / "model.safetensors"
    weights = safetensors.torch.load_file(path)
    del weights["embeddings.LayerNorm.bias"]
    safetensors.torch.save_file(weights, path, {"format": "pt"})
    with pytest.raises(ValueError, match=r"embeddings\.LayerNorm\.bias"):
        load()
    assert entries(cache) == []
