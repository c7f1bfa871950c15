"""The conformance kit: the contract of a plugin as tests, for plugin authors.

Needs pytest (``pip install "flagembedding-core[testing]"``), and is imported by nobody at run time.
See docs/plugins.md, "Testing a plugin".
"""

from FlagEmbedding.testing.bench import build_checkpoint
from FlagEmbedding.testing.contract import PluginContract
from FlagEmbedding.testing.entries import Entry

__all__ = ["Entry", "PluginContract", "build_checkpoint"]
