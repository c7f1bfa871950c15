"""What is known of each plugin: where it comes from, what became of it, and what it contributes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from FlagEmbedding.config import EmbedderConfig, ModelClass, RerankerConfig


class Status(StrEnum):
    """What became of a plugin."""

    ACTIVE = "active"
    DISABLED = "disabled"
    FAILED = "failed"


@dataclass(frozen=True)
class Contribution:
    """The tables of one plugin, as its hooks returned them."""

    embedders: Mapping[str, EmbedderConfig] = field(default_factory=dict)
    rerankers: Mapping[str, RerankerConfig] = field(default_factory=dict)
    embedder_classes: Mapping[str, ModelClass] = field(default_factory=dict)
    reranker_classes: Mapping[str, ModelClass] = field(default_factory=dict)
    poolings: Mapping[str, str] = field(default_factory=dict)
    engines: Mapping[str, str] = field(default_factory=dict)


@dataclass
class PluginRecord:
    """One plugin that was found.

    Attributes:
        name: The name of its entry point; two distributions may use the same.
        distribution: The distribution that names it, or ``"this process"`` for one registered in code.
        version: The distribution's version, or an empty string where there is none.
        status: What became of it.
        reason: Why it is disabled or failed, in one line; empty when active.
        error: What went wrong, with its traceback; None unless failed.
        contribution: Its tables; empty unless active.
    """

    name: str
    distribution: str
    version: str
    status: Status = Status.ACTIVE
    reason: str = ""
    error: BaseException | None = None
    contribution: Contribution = field(default_factory=Contribution)

    @property
    def owner(self) -> str:
        """The plugin in words, for messages: ``"flagembedding-bge 0.1.0"``."""
        return f"{self.distribution} {self.version}".strip()
