"""The engine ``"onnx"``: a backbone exported once, kept, and run by ONNX Runtime."""

from __future__ import annotations

import logging
from pathlib import Path

import onnxruntime
import torch

from FlagEmbedding.engine.running import Backbone, OtherEngine
from FlagEmbedding.errors import OptionError
from flagembedding_onnx.cache import ENVIRONMENT, cache_folder, discard, new_entry, read_about
from flagembedding_onnx.errors import DamagedEntryError, ExportError
from flagembedding_onnx.fingerprint import fingerprint
from flagembedding_onnx.forward import OnnxForward, open_session

logger = logging.getLogger(__name__)

# Processes that find an entry damaged at the same time may take each other's new one for the old one, but not for long.
_ATTEMPTS = 3


def onnx_engine(backbone: Backbone) -> OtherEngine:
    """Return ``backbone``, run by ONNX Runtime on the CPU in float32.

    The first time a model is asked for it is loaded by transformers, exported, compared with itself and kept (see
    :mod:`flagembedding_onnx.cache`); later neither its modelling code nor torch's exporter is imported.

    Args:
        backbone: What is known of the model.

    Raises:
        OptionError: The model cannot be run in this way, or not as it was asked for.
        CheckpointError: Its files are missing, damaged, or do not fit together.
        ExportError: The export could not be written, or not be read back.
    """
    _check(backbone)
    place = cache_folder() / fingerprint(backbone)
    for attempt in range(_ATTEMPTS):
        if not place.is_dir():
            _export(backbone, place)
        try:
            return _opened(place, backbone.pad_id)
        except DamagedEntryError as error:
            if attempt + 1 == _ATTEMPTS:
                raise ExportError(
                    f"the ONNX export of {backbone.source!r} in {str(place)!r} cannot be read, however often it is "
                    f"written: {error} Name another folder in {ENVIRONMENT}, or leave engine= out."
                ) from error
            logger.warning("the ONNX export of %r is made anew: %s", backbone.source, error)
            discard(place)
    raise AssertionError  # the last attempt returns or raises


def _check(backbone: Backbone) -> None:
    """Refuse what would have to be run in another way than it was asked for."""
    if torch.device(backbone.device).type != "cpu":
        raise OptionError(
            f"engine='onnx' runs on the CPU, not on {backbone.device!r}. Say devices='cpu', or leave engine= out."
        )
    if backbone.dtype != torch.float32:
        raise OptionError(
            f"engine='onnx' computes in float32, not in {str(backbone.dtype).removeprefix('torch.')}. Leave out "
            f"use_bf16=True, or engine=."
        )
    if (backbone.folder / "adapter_config.json").exists():
        raise OptionError(
            f"{backbone.source!r} is an adapter, whose weights are only partly its own: merge it into its model and "
            f"save that, or leave engine= out."
        )


def _export(backbone: Backbone, place: Path) -> None:
    # Here, because it brings torch's exporter and the optimiser with it.
    from flagembedding_onnx.exporting import export  # noqa: PLC0415

    logger.info("exporting %r to ONNX, once, into %s", backbone.source, place)
    with new_entry(place) as folder:
        export(backbone, folder)


def _opened(place: Path, pad_id: int) -> OtherEngine:
    about = read_about(place)
    try:
        session = open_session(place / "model.onnx")
    except Exception as error:
        raise DamagedEntryError(f"onnxruntime does not open it ({type(error).__name__}: {error}).") from error
    words = f"ONNX Runtime {onnxruntime.__version__}, threads: {torch.get_num_threads()}"
    return OtherEngine(OnnxForward(session, pad_id), words, about.rows, about.limit)
