"""The errors of this library: one small tree.

Every class is also a ``ValueError`` or a ``RuntimeError``, so that programs which catch those keep working.
A message says what was asked, what is known, and what to do next; the cause, where there is one, is chained.
"""

from __future__ import annotations


class FlagEmbeddingError(Exception):
    """Base of every error that this library raises on purpose."""


class UnknownModelError(FlagEmbeddingError, ValueError):
    """A model name leads nowhere: not registered, no local folder, not on the hub."""


class UnsupportedModelError(FlagEmbeddingError, ValueError):
    """A model is known, and known not to run on today's libraries; the message says what to use instead."""


class NameConflictError(FlagEmbeddingError, ValueError):
    """Two plugins claim one name, and that name was asked for."""


class ConfigError(FlagEmbeddingError, ValueError):
    """A model configuration is not valid."""


class ModelClassError(FlagEmbeddingError, ValueError):
    """A model class is unknown, or cannot be imported."""


class CheckpointError(FlagEmbeddingError, ValueError):
    """The files of a model are missing, damaged, or do not fit together."""


class InputError(FlagEmbeddingError, ValueError, TypeError):
    """What was given to be encoded is no text, or no list of texts."""


class OptionError(FlagEmbeddingError, ValueError, TypeError):
    """An option is unknown, or its value is out of range."""


class DeviceError(FlagEmbeddingError, RuntimeError):
    """A device is misspelt, or not present on this machine."""


class NotFiniteError(FlagEmbeddingError, RuntimeError):
    """A vector or a score holds NaN or infinity: damaged weights, or a number format that is too narrow."""


class DownloadError(FlagEmbeddingError, RuntimeError):
    """A known model could not be fetched."""


class PluginError(FlagEmbeddingError, RuntimeError):
    """A plugin could not be loaded, or broke its contract."""


class WorkerError(FlagEmbeddingError, RuntimeError):
    """A worker process could not be started, died over its work, or failed in a way that cannot be sent as it is."""


class MissingExtraError(FlagEmbeddingError, RuntimeError, ImportError):
    """A part of this library needs packages that are not installed; the message says what to install."""


class JobError(FlagEmbeddingError, RuntimeError):
    """A job cannot go on: its input cannot be read, its output not be written, or another job is at work there."""


class JobChangedError(FlagEmbeddingError, ValueError):
    """A job was to go on with another model, other settings or another input than it was begun with."""
