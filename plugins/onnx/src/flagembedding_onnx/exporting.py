"""The export: a backbone traced, fused by onnxruntime's optimiser, and compared with itself before it is kept.

Of the ways tried, eager attention through the tracing exporter and then onnxruntime's own optimiser (attention, norms
and GELU in one step each) is the fastest, some 10 to 20 % before torch's newer exporter on its own attention.
"""

from __future__ import annotations

import logging
import shutil
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx
import torch
from onnxruntime.transformers import optimizer
from torch import Tensor

from FlagEmbedding.engine.limits import position_limit, vocabulary_rows
from FlagEmbedding.engine.packed import probe
from FlagEmbedding.engine.running import Backbone
from FlagEmbedding.errors import OptionError
from flagembedding_onnx.cache import About, write_about
from flagembedding_onnx.forward import OnnxForward, open_session

logger = logging.getLogger(__name__)

TOLERANCE = 1e-5
"""How far unit vectors of tokens may be apart."""

_OPSET = 17
_NAMES = ["input_ids", "attention_mask"]
_LONG = 160  # tokens: what is folded into a trace as a number shows at another length


class _States(torch.nn.Module):
    """A backbone that takes ids and mask by position and gives its last hidden states."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self._model = model
        self._typed = any(name.endswith("token_type_embeddings") for name, _ in model.named_modules())

    def forward(self, ids: Tensor, mask: Tensor) -> Any:
        # The default of models that have types, but looked up in a table, which the optimiser cannot fuse.
        types = {"token_type_ids": torch.zeros_like(ids)} if self._typed else {}
        return self._model(input_ids=ids, attention_mask=mask, **types).last_hidden_state


def export(backbone: Backbone, folder: Path) -> None:
    """Write the export of ``backbone`` into an empty folder.

    Raises:
        OptionError: It cannot be exported, or the export does not give what the model itself gives.
        CheckpointError: Its files are missing, damaged, or do not fit together.
        OSError: There is no room.
    """
    model = backbone.load("eager")
    path = folder / "model.onnx"
    try:
        _write(model, path)
        apart = _distance(path, backbone.pad_id, model)
    except (OSError, MemoryError):
        raise
    except Exception as error:
        raise OptionError(
            f"{backbone.source!r} ({backbone.config.model_type}) cannot be exported to ONNX: {type(error).__name__}: "
            f"{error} Leave engine= out."
        ) from error
    if not apart <= TOLERANCE:
        raise OptionError(
            f"{backbone.source!r} ({backbone.config.model_type}) cannot be run by engine='onnx': its export differs "
            f"by {apart:.1e} from the model itself, and {TOLERANCE} is what we allow. Leave engine= out."
        )
    write_about(folder, About(backbone.source, vocabulary_rows(model), position_limit(model), apart))


def _write(model: torch.nn.Module, path: Path) -> None:
    traced = path.with_name("traced")
    traced.mkdir()
    _trace(model, traced / path.name)
    graph = _optimised(model, traced / path.name)
    # Weights in a file of their own: so there is one way for models above the 2 GB that one file can hold and below.
    onnx.save_model(graph, path, save_as_external_data=True, all_tensors_to_one_file=True, location=f"{path.name}.data")
    shutil.rmtree(traced)


def _optimised(model: Any, path: Path) -> Any:
    """Return the graph with what matches the patterns of BERT fused; in other models that is less."""
    shape = {"num_heads": model.config.num_attention_heads, "hidden_size": model.config.hidden_size}
    return optimizer.optimize_model(str(path), model_type="bert", opt_level=0, **shape).model


def _trace(model: torch.nn.Module, path: Path) -> None:
    ids = torch.tensor([[1, 2, 3, 4, 5, 6, 7], [3, 2, 1, 0, 0, 0, 0]])
    mask = torch.tensor([[1] * 7, [1] * 3 + [0] * 4])
    axes = {0: "texts", 1: "tokens"}
    with torch.inference_mode(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the tracer's, on branches that these lengths do not take; the probe decides
        torch.onnx.export(
            _States(model).eval(),  # the exporter puts it, and the model in it, back into the mode that it had
            (ids, mask),
            str(path),
            input_names=_NAMES,
            output_names=["states"],
            dynamic_axes=dict.fromkeys([*_NAMES, "states"], axes),
            opset_version=_OPSET,
            dynamo=False,
        )


def _distance(path: Path, pad_id: int, model: torch.nn.Module) -> float:
    """Return how far the export is from the model, one text at a time, for texts together and each alone."""
    rows = _probe(model)
    forward = OnnxForward(open_session(path), pad_id)
    hidden = forward(rows).padded()
    together = [states[mask] for states, mask in zip(hidden.states, hidden.mask, strict=True)]
    alone = [forward([row]).states[0] for row in rows]
    wanted = probe.one_at_a_time(model, rows)
    return probe.distance([*together, *alone], [*wanted, *wanted])


def _probe(model: torch.nn.Module) -> Sequence[list[int]]:
    rows = probe.rows(model)
    every = [token for row in rows for token in row]
    limit = min(position_limit(model) or _LONG, _LONG)
    return [*rows, (every * _LONG)[:limit]]
