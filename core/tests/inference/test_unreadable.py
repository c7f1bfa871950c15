"""Files that this user may not read: an error that names the folder, as for files that are not there."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest

from FlagEmbedding import FlagAutoModel, FlagModel
from FlagEmbedding.errors import FlagEmbeddingError

NOBODY = 65534

# The temporary folders of pytest are closed to others; this is about one file in an open one.
PARTS = (
    *("config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors", "modules.json"),
    *("1_Pooling/config.json", "1_Pooling", "sentence_bert_config.json", "."),
)


@pytest.fixture
def open_folder(tiny, checkpoint):
    parent = Path(tempfile.mkdtemp())
    parent.chmod(0o755)
    folder = Path(shutil.copytree(checkpoint("bert"), parent / "model"))
    tiny.add_sentence_transformers_files(folder, "mean")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755)
    yield folder
    folder.chmod(0o755)
    (folder / "1_Pooling").chmod(0o755)
    shutil.rmtree(parent)


@pytest.fixture
def as_nobody():
    """Root may read everything, and these tests may run as root."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(NOBODY)
    yield
    os.seteuid(user)


def test_as_it_is_it_loads(open_folder, as_nobody):
    assert FlagAutoModel.from_finetuned(str(open_folder), devices="cpu").encode("the river").shape == (32,)


@pytest.mark.parametrize("part", PARTS)
def test_one_part(open_folder, request, part):
    (open_folder / part).chmod(0)
    request.getfixturevalue("as_nobody")
    with pytest.raises(FlagEmbeddingError, match=re.escape(str(open_folder))):
        FlagAutoModel.from_finetuned(str(open_folder), devices="cpu")


@pytest.mark.parametrize("part", ["config.json", "tokenizer.json", "model.safetensors", "."])
def test_one_part_without_detection(open_folder, request, part):
    (open_folder / part).chmod(0)
    request.getfixturevalue("as_nobody")
    with pytest.raises(FlagEmbeddingError, match=re.escape(str(open_folder))):
        FlagModel(str(open_folder), devices="cpu")
