"""What goes wrong with exports; what this engine does not run is an ``OptionError``."""

from __future__ import annotations

from FlagEmbedding.errors import FlagEmbeddingError


class ExportError(FlagEmbeddingError, RuntimeError):
    """An export could not be written or read back."""


class DamagedEntryError(FlagEmbeddingError, RuntimeError):
    """What is kept of a model is not what was written; it is exported again."""
