"""The command ``flagembedding``. No command imports torch before it needs it."""

from FlagEmbedding.cli.main import main

__all__ = ["main"]
