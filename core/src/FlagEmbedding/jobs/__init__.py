"""Corpora of any size, from files into files: resumable jobs, on this machine or on Ray (docs/jobs.md)."""

from __future__ import annotations

from FlagEmbedding.errors import MissingExtraError

try:
    import filelock  # noqa: F401
    import fsspec  # noqa: F401
    import pyarrow as pa  # noqa: F401
except ImportError as error:
    raise MissingExtraError(
        f"embedding jobs need pyarrow, fsspec and filelock, and {error.name!r} is not installed. "
        f"Install them: pip install 'flagembedding-core[jobs]'"
    ) from error

from FlagEmbedding.jobs.local import Report, embed_corpus, run
from FlagEmbedding.jobs.settings import EmbedJob

__all__ = ["EmbedJob", "Report", "embed_corpus", "run"]
