"""Copies, workers, and what a process imports that finds its model exported."""

from __future__ import annotations

import copy
import json
import multiprocessing
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

from FlagEmbedding import FlagModel

WARM = """
import json, sys
from FlagEmbedding import FlagAutoModel
model = FlagAutoModel.from_finetuned(sys.argv[1], engine="onnx", devices="cpu")
vector = model.encode("the river").tolist()
names = ("transformers.modeling_utils", "torch.onnx", "onnx", "flagembedding_onnx.exporting")
print(json.dumps([vector, [name for name in names if name in sys.modules]]))
"""


@pytest.mark.parametrize("copied", [lambda model: pickle.loads(pickle.dumps(model)), copy.deepcopy])
def test_a_copy_opens_the_same_export(load, cache, exports, texts, copied):
    model = load(pooling_method="mean")
    other = copied(model)
    assert other.engine == model.engine
    assert np.array_equal(other.encode(texts), model.encode(texts))
    assert len(exports) == 1


def test_a_changed_network_is_in_the_copy(load, texts):
    model = load()
    model.model.embeddings.LayerNorm.bias.data[0] += 1
    other = pickle.loads(pickle.dumps(model))
    assert other.engine == "padded batches"
    assert np.abs(other.encode(texts) - model.encode(texts)).max() <= 1e-6


def test_two_workers(folder, cache, exports):
    texts = [f"the river of {index} stones" for index in range(140)]
    alone = FlagModel(str(folder), engine="onnx", devices="cpu").encode(texts)
    with FlagModel(str(folder), engine="onnx", devices=["cpu", "cpu"]) as model:
        assert np.abs(model.encode(texts) - alone).max() <= 1e-5
        assert len(multiprocessing.active_children()) == 2
    assert len(exports) == 1


@pytest.mark.parametrize("model_type", ["bert", "mpnet"])
def test_a_warm_load_imports_neither_modelling_code_nor_an_exporter(checkpoint, reference, cache, model_type):
    folder = str(checkpoint(model_type))
    wanted = FlagModel(folder, engine="onnx", devices="cpu").encode("the river")
    run = [sys.executable, "-c", WARM, folder]
    done = subprocess.run(run, capture_output=True, text=True, check=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    vector, imported = json.loads(done.stdout)
    assert imported == []
    assert done.stderr == ""
    assert np.abs(np.array(vector) - wanted).max() <= 1e-5


def test_listing_engines_imports_no_torch():
    code = (
        "import sys, flagembedding_onnx.hooks as hooks; hooks.flagembedding_engines(); "
        "print(sorted({'torch', 'transformers', 'onnxruntime', 'numpy'} & set(sys.modules)))"
    )
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert child.stdout.strip() == "[]"
