"""What a call may say in sentence-transformers' words: taken over, or refused with what to say here instead."""

from __future__ import annotations

import inspect
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from FlagEmbedding.abc.inference.quantization import FULL, check_precision, quantized
from FlagEmbedding.engine.devices import target_devices
from FlagEmbedding.errors import OptionError

_WORKERS = "Name several devices when the model is loaded (devices=[...]): it starts its workers itself."

# What is not done here, and what is; None asks for nothing.
_REFUSED: Mapping[str, str] = {
    "pool": _WORKERS,
    "chunk_size": _WORKERS,
    "task": "encode_query() and encode_document() say which of the two it is.",
    "processing_kwargs": "Say max_length=, or load the model with other files.",
}
_VECTOR = "sentence_embedding"
_TALKATIVE = (logging.INFO, logging.DEBUG)
# Not to be passed on where nothing is asked for: a class of one's own need not know them.
_SILENT = ("show_progress_bar", "truncate_dim", "device")


@dataclass(frozen=True)
class Finish:
    """What becomes of the vectors of a call.

    Attributes:
        normalize: Whether they get length 1, where the model does not give them so.
        precision: One of :data:`~FlagEmbedding.abc.inference.quantization.PRECISIONS`.
    """

    normalize: bool = False
    precision: str = FULL

    def normalized(self, rows: Any) -> Any:
        """Return float32 ``[texts, dimension]`` with rows of length 1, if that is asked for.

        Raises:
            OptionError: It is asked for, and ``rows`` are no vectors.
        """
        if not self.normalize:
            return rows
        tensor = rows if isinstance(rows, torch.Tensor) else torch.from_numpy(_vectors(rows, "normalize_embeddings"))
        unit = torch.nn.functional.normalize(tensor, dim=-1)
        return unit if isinstance(rows, torch.Tensor) else unit.numpy()

    def quantized(self, rows: Any) -> Any:
        """Return ``[texts, dimension]`` (an eighth of it for bits) in the precision that is asked for.

        Raises:
            OptionError: It is not float32, and ``rows`` are no vectors.
            InputError: It needs several vectors, and there is one.
        """
        if self.precision == FULL:
            return rows
        return quantized(rows if isinstance(rows, torch.Tensor) else _vectors(rows, "precision"), self.precision)


def read_finish(options: dict[str, Any]) -> Finish:
    """Take out of ``options`` what becomes of the vectors.

    Raises:
        OptionError: A value is none of those that are known.
    """
    wanted = options.pop("normalize_embeddings", None)
    if wanted is not None and not isinstance(wanted, (bool, np.bool_)):
        raise OptionError(f"normalize_embeddings is True or False, not {wanted!r}.")
    return Finish(bool(wanted), check_precision(options.pop("precision", None)))


def translate(options: dict[str, Any]) -> None:
    """Say in this library's words what ``options`` say in those of sentence-transformers.

    Raises:
        OptionError: Something is asked for that is not done here; the message says what to do instead.
        DeviceError: There is no such device.
    """
    for name, instead in _REFUSED.items():
        if options.pop(name, None) is not None:
            raise OptionError(f"{name}= of sentence-transformers is not taken here. {instead}")
    wanted = options.pop("output_value", _VECTOR)
    if wanted != _VECTOR:
        raise OptionError(
            f"output_value={wanted!r} is not given here, only {_VECTOR!r}. For the vectors of tokens call model.model "
            f"with model.tokenizer."
        )
    if options.pop("convert_to_tensor", None):
        options["convert_to_numpy"] = False
    for name in _SILENT:
        if name in options and options[name] is None:
            del options[name]
    if "device" in options:
        options["device"] = _one_device(options["device"])


def with_progress(options: Mapping[str, Any], work: Callable[..., Any]) -> dict[str, Any]:
    """Return ``options`` with sentence-transformers' rule for progress bars: None means "where INFO is logged".

    Args:
        options: Of a call, those that say nothing left out.
        work: What they are handed to in the end. Where that knows no bars, it is told of one only if one is asked for.
    """
    said = options.get("show_progress_bar")
    if said is None and logging.getLogger("FlagEmbedding").getEffectiveLevel() in _TALKATIVE and _knows_bars(work):
        return {**options, "show_progress_bar": True}
    if said is False and not _knows_bars(work):
        return {name: value for name, value in options.items() if name != "show_progress_bar"}
    return dict(options)


def _knows_bars(work: Callable[..., Any]) -> bool:
    parameters = inspect.signature(work).parameters
    return "show_progress_bar" in parameters or any(
        parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()
    )


def _one_device(device: Any) -> str:
    if isinstance(device, str):
        return device
    devices = target_devices(device)
    if len(devices) > 1:
        raise OptionError(f"device={device!r}: a call runs on one device. {_WORKERS}")
    return devices[0]


def _vectors(rows: Any, option: str) -> np.ndarray[Any, Any]:
    if not isinstance(rows, np.ndarray) or rows.ndim != 2:  # noqa: PLR2004 - a table
        raise OptionError(f"{option}= is for vectors, and this call gives a {type(rows).__name__}: leave it out.")
    return rows
