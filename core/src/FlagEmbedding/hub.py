"""The hub: a file, or the folder of a model, through ``huggingface_hub`` with its own cache, bars and offline rules."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from FlagEmbedding.errors import DownloadError, OptionError, UnknownModelError

HUB_OPTIONS = ("cache_dir", "revision", "token", "local_files_only")
"""Options that say how the hub is asked, under the names that ``huggingface_hub`` gives them."""

# What describes a model, its sentence-transformers modules included; and beside it, what its tokenizer needs.
_SETTINGS = ("*.json",)
_TOKENIZER = ("*.txt", "*.model", "*.jinja")
_SAFE_WEIGHTS = "model*.safetensors"
_OLD_WEIGHTS = "pytorch_model*.bin"
_OTHER_FORMATS = ("onnx/*", "openvino/*", "coreml/*", "*/*.safetensors", "*/*.bin")


def fetch_settings(repository: str, options: Mapping[str, Any]) -> Path:
    """Return the folder of a repository's JSON files, from the cache or fetched.

    Args:
        repository: The hub id.
        options: Some of :data:`HUB_OPTIONS`.

    Raises:
        UnknownModelError: The hub has no such repository, or it is not for this caller.
        DownloadError: The hub could not be asked, and the cache does not hold it.
    """
    return _fetch(repository, options, _SETTINGS)


def fetch_model(repository: str, options: Mapping[str, Any], extra: Sequence[str] = ()) -> Path:
    """Return the folder of a repository's configuration, tokenizer and weights, from the cache or fetched.

    Weights come as safetensors; only a repository without any is asked for its older format. Arguments and errors are
    those of :func:`fetch_settings`; ``extra`` are patterns of further files that are wanted.
    """
    folder = _fetch(repository, options, [*_SETTINGS, *_TOKENIZER, *extra, _SAFE_WEIGHTS])
    return folder if any(folder.glob(_SAFE_WEIGHTS)) else _fetch(repository, options, [_OLD_WEIGHTS])


def fetch_files(repository: str, options: Mapping[str, Any], names: Sequence[str]) -> Path:
    """Return the folder of a repository with the files ``names`` in it, those that there are.

    Arguments and errors are those of :func:`fetch_settings`.
    """
    return _fetch(repository, options, names, unwanted=())


def _fetch(
    repository: str, options: Mapping[str, Any], patterns: Sequence[str], unwanted: Sequence[str] = _OTHER_FORMATS
) -> Path:
    # Imported here, because the client brings an HTTP library, which takes longer than listing every model.
    from huggingface_hub import snapshot_download  # noqa: PLC0415

    with _explained(repository, options):
        return Path(
            snapshot_download(repository, allow_patterns=list(patterns), ignore_patterns=list(unwanted), **options)
        )


@contextlib.contextmanager
def _explained(repository: str, options: Mapping[str, Any]) -> Iterator[None]:
    from huggingface_hub import errors  # noqa: PLC0415

    wrong_uri = getattr(errors, "HfUriError", errors.HFValidationError)  # releases before 2.0 may not have it
    try:
        yield
    except (errors.RepositoryNotFoundError, errors.HFValidationError, wrong_uri) as error:
        raise UnknownModelError(
            f"{repository!r} is neither a registered name nor a local folder, and the hub has no such repository (or "
            f"it is private or gated: run `hf auth login`)."
        ) from error
    except TypeError as error:
        shown = ", ".join(f"{name}={value!r}" for name, value in options.items() if name != "token")
        raise OptionError(
            f"the hub cannot be asked for {repository!r} with these options ({shown}): {error}. They are a path "
            f"(cache_dir), strings (revision, token), and True or False (local_files_only)."
        ) from error
    except Exception as error:  # the client passes on what its own libraries raise over the network and the cache
        raise DownloadError(
            f"{repository!r} is not in the local cache and could not be fetched from the hub: {error} "
            f"Check the network (and HF_HUB_OFFLINE), or give a local folder."
        ) from error
