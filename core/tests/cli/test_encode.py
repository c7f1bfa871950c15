"""What goes to the model in what blocks, and what comes out of any model."""

from __future__ import annotations

import json
import time

import numpy as np
import pytest
from click.testing import CliRunner

from FlagEmbedding import AbsEmbedder, FlagAutoModel
from FlagEmbedding.cli import encode
from FlagEmbedding.errors import InputError

SECONDS_A_TEXT = 0.0007  # 1400 texts a second: on one device 4096 of them are done before a worker has started


class Recording(AbsEmbedder):
    """Takes its time for a sample, and only writes down what goes to which devices."""

    def __init__(self, devices):
        super().__init__("none", devices="cpu")
        self.target_devices, self._named = devices, False  # as on a machine where they were found
        self.calls = []

    def encode_single_device(self, sentences, *_, device=None, **__):
        self.calls.append((device, len(sentences)))
        time.sleep(SECONDS_A_TEXT * min(len(sentences), 1024))
        return np.zeros((len(sentences), 1), np.float32)

    def _there(self, method, inputs, options):
        return self.encode_single_device(inputs, device="all")


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        (["cuda:0"], [("cuda:0", 4096), ("cuda:0", 904)]),
        (["cuda:0", "cuda:1"], [("cuda:0", 1024), ("all", 64512), ("cuda:0", 464)]),
    ],
)
def test_a_long_input_comes_to_all_devices_that_were_found(devices, expected, monkeypatch, tmp_path):
    model = Recording(devices)
    monkeypatch.setattr(FlagAutoModel, "from_finetuned", lambda *_, **__: model)
    count = 66000 if len(devices) > 1 else 5000
    (tmp_path / "in.txt").write_text("a text\n" * count)
    done = CliRunner().invoke(encode.command, ["any", "-i", str(tmp_path / "in.txt")], catch_exceptions=False)
    assert done.exit_code == 0
    assert done.output.count("\n") == count
    assert model.calls == expected


class Plain(AbsEmbedder):
    """Knows no progress bars, and gives what it is told to."""

    given = staticmethod(lambda count: np.full((count, 2), 0.5, np.float32))

    def encode_single_device(
        self, sentences, batch_size=256, max_length=None, convert_to_numpy=True, device=None, **options
    ):
        assert not options
        return self.given(len(sentences))


class Several(Plain):
    given = staticmethod(lambda count: {"dense_vecs": np.full((count, 2), 0.5, np.float32), "lexical_weights": None})


@pytest.mark.parametrize("kind", [Plain, Several])
def test_the_dense_vectors_of_any_class(kind, monkeypatch):
    monkeypatch.setattr(FlagAutoModel, "from_finetuned", lambda *_, **__: kind("none", devices="cpu"))
    done = CliRunner().invoke(encode.command, ["any", "one", "two"], catch_exceptions=False)
    assert [json.loads(line) for line in done.output.splitlines()] == [
        {"text": text, "embedding": [0.5, 0.5]} for text in ("one", "two")
    ]


@pytest.mark.parametrize("suffix", ["txt", "csv", "jsonl"])
def test_a_file_that_is_not_utf8(suffix, monkeypatch, tmp_path):
    monkeypatch.setattr(FlagAutoModel, "from_finetuned", lambda *_, **__: Plain("none", devices="cpu"))
    path = tmp_path / f"in.{suffix}"
    path.write_bytes(b"text\nna\xefve\n")
    with pytest.raises(InputError, match=r"is not UTF-8 .*iconv"):
        CliRunner().invoke(encode.command, ["any", "-i", str(path)], catch_exceptions=False)
