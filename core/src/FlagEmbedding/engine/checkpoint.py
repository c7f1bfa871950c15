"""Loading: a backbone and its tokenizer from a folder or the hub, complete or not at all."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub import errors as hub_errors
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModel, AutoTokenizer

from FlagEmbedding.errors import CheckpointError, DownloadError, UnknownModelError
from FlagEmbedding.sources import is_folder, looks_like_path

# Weights of training heads that an embedding model does not use: a checkpoint may hold them, and lack the pooler.
_UNUSED = ("cls.", "lm_head.", "pooler.", "predictions.")

_SHOWN = 3  # weights that a message names

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
)


@dataclass(frozen=True)
class Checkpoint:
    """Where a model comes from, and how it may be fetched.

    Attributes:
        source: A local folder or a hub id.
        trust_remote_code: Whether Python code of the checkpoint may run.
        hub_options: ``cache_dir``, ``revision``, ``token``, ``local_files_only``, as transformers takes them.
    """

    source: str
    trust_remote_code: bool = False
    hub_options: Mapping[str, Any] = field(default_factory=dict)

    def load_config(self) -> Any:
        """Return the model's transformers configuration."""
        if looks_like_path(self.source) and not is_folder(self.source):
            raise UnknownModelError(f"there is no model folder {self.source!r}.")
        with _explained(self.source, "configuration"):
            return AutoConfig.from_pretrained(self.source, **self._options())

    def load_tokenizer(self) -> Any:
        """Return the tokenizer.

        Raises:
            CheckpointError: There is none; transformers 5 would make up an empty one.
        """
        if is_folder(self.source) and not any(map(self._has, _TOKENIZER_FILES)):
            raise CheckpointError(
                f"{self.source!r} has no tokenizer (none of {', '.join(_TOKENIZER_FILES)}). Copy the tokenizer files "
                f"of the model it was trained from into it."
            )
        with _explained(self.source, "tokenizer"):
            tokenizer = AutoTokenizer.from_pretrained(self.source, **self._options())
        if not tokenizer.is_fast:
            raise CheckpointError(f"the tokenizer of {self.source!r} has no tokenizers backend, which is needed here.")
        return tokenizer

    def load_backbone(self, config: Any, dtype: torch.dtype, attention: str | None = None) -> torch.nn.Module:
        """Return the backbone in evaluation mode, on the CPU, in ``dtype``.

        Raises:
            CheckpointError: A weight is missing, left over or of another shape; such a model would run on random
                numbers and say nothing.
        """
        extra = {"attn_implementation": attention} if attention else {}
        with _explained(self.source, "weights"):
            model: torch.nn.Module
            model, info = AutoModel.from_pretrained(
                self.source,
                config=config,
                dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported by us, with the missing and unexpected ones
                **extra,
                **self._options(),
            )
        _require_complete(self.source, info)
        if getattr(model, "pooler", None) is not None:
            model.register_module(
                "pooler", None
            )  # the head of BERT's pre-training: no embedding model of ours reads it
        model.eval().requires_grad_(False)
        return model

    def _options(self) -> dict[str, Any]:
        return {"trust_remote_code": self.trust_remote_code, **self.hub_options}

    def _has(self, name: str) -> bool:
        return Path(self.source, name).is_file()


@contextlib.contextmanager
def _explained(source: str, part: str) -> Iterator[None]:
    """Load quietly, and turn what the libraries raise into one of our errors."""
    try:
        with _quiet_transformers():
            yield
    except (hub_errors.RepositoryNotFoundError, hub_errors.HFValidationError) as error:
        raise UnknownModelError(f"{source!r} is no local folder, and the hub has no such repository.") from error
    except SafetensorError as error:
        raise CheckpointError(f"the weights of {source!r} are damaged ({error}). Fetch or copy them again.") from error
    except (OSError, ValueError, KeyError, TypeError, ImportError, RuntimeError, AttributeError) as error:
        raise _load_error(source, part, error) from error


def _load_error(source: str, part: str, error: Exception) -> Exception:
    message = f"the {part} of {source!r} cannot be loaded: {type(error).__name__}: {error}"
    if is_folder(source):
        return CheckpointError(message)
    if isinstance(error, (OSError, hub_errors.HfHubHTTPError)):
        return DownloadError(f"{message} Check the network (and HF_HUB_OFFLINE), or give a local folder.")
    return CheckpointError(message)


@contextlib.contextmanager
def _quiet_transformers() -> Iterator[None]:
    """Keep transformers' own report and progress bar off the terminal; downloads keep the hub's bar."""
    log: Any = transformers.utils.logging
    verbosity, bar = log.get_verbosity(), log.is_progress_bar_enabled()
    log.set_verbosity_error()
    _set_progress_bar(False)
    try:
        yield
    finally:
        log.set_verbosity(verbosity)
        _set_progress_bar(bar)


def _set_progress_bar(on: bool) -> None:
    log: Any = transformers.utils.logging
    log.enable_progress_bar() if on else log.disable_progress_bar()


def _require_complete(source: str, info: Mapping[str, Any]) -> None:
    missing = _used(info["missing_keys"])
    unexpected = _used(info["unexpected_keys"])
    mismatched = sorted(
        f"{name} {tuple(found)} instead of {tuple(wanted)}" for name, found, wanted in info["mismatched_keys"]
    )
    problems = [
        f"{len(names)} {what} ({', '.join(names[:_SHOWN])}{', ...' if len(names) > _SHOWN else ''})"
        for what, names in (("missing", missing), ("unexpected", unexpected), ("of another shape", mismatched))
        if names
    ]
    if problems or info["error_msgs"]:
        details = "; ".join([*problems, *map(str, info["error_msgs"])])
        raise CheckpointError(
            f"the weights of {source!r} do not fit its config.json: {details}. The model would run on random numbers."
        )


def _used(names: Any) -> list[str]:
    return sorted(name for name in names if not any(f".{unused}" in f".{name}" for unused in _UNUSED))
