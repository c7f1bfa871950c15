"""The packages that an adapter plugs into: optional, and said how to install where they are not there."""

from __future__ import annotations

import importlib.metadata
from collections.abc import Iterator
from contextlib import contextmanager

from FlagEmbedding.errors import MissingExtraError


@contextmanager
def extra(name: str, distribution: str) -> Iterator[None]:
    """Import the classes of another program within this context.

    Args:
        name: The extra of flagembedding-core that brings it.
        distribution: What the extra installs.

    Raises:
        MissingExtraError: It is not installed, or in a version that lacks what is imported.
    """
    try:
        yield
    except ImportError as error:
        raise MissingExtraError(
            f"{_what(distribution, error)} Run: pip install 'flagembedding-core[{name}]'"
        ) from error


def _what(distribution: str, error: ImportError) -> str:
    try:
        version = importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return f"This adapter needs {distribution}, which is not installed."
    return f"This adapter does not work with the installed {distribution} {version}: {error}."
