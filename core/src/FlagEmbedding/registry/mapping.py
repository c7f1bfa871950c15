"""The mapping from names to configurations: what the plugins claim, and on top of it what the user assigned."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from typing import Generic, TypeVar

from FlagEmbedding.claims import Claims, sole_claim
from FlagEmbedding.config import EmbedderConfig, RerankerConfig
from FlagEmbedding.errors import ConfigError
from FlagEmbedding.model_config import ModelConfig
from FlagEmbedding.plugins.manager import plugin_manager

C = TypeVar("C", bound=ModelConfig)


class ModelMapping(MutableMapping[str, C], Generic[C]):
    """An ordered mapping of model names; assignments count at once.

    Names that plugins claim come first, in the plugins' order, then those that were assigned. A name that two plugins
    claim is left out of iteration (one conflict must not break a listing) and raises when it is asked for; assigning
    it decides the conflict.
    """

    def __init__(self, kind: str, config_type: type[C], claims: Callable[[], Claims[C]]) -> None:
        self.kind = kind
        self._config_type = config_type
        self._claimed = claims
        self._assigned: dict[str, C] = {}
        self._deleted: set[str] = set()

    def __getitem__(self, name: str) -> C:
        """Return the configuration of ``name``.

        Raises:
            KeyError: Nobody registered it.
            NameConflictError: More than one plugin did.
        """
        if name in self._assigned:
            return self._assigned[name]
        claims = self._claims().get(name)
        if not claims:
            raise KeyError(name)
        return sole_claim(self.kind, name, claims).value

    def __setitem__(self, name: str, config: C) -> None:
        """Register ``config`` under ``name``, before whatever a plugin says of it.

        Raises:
            ConfigError: The name is no usable string, or the value no configuration of this mapping's kind.
        """
        if not isinstance(name, str) or not name or name != name.strip():
            raise ConfigError(f"a model name is a string without outer blanks, not {name!r}.")
        if not isinstance(config, self._config_type):
            raise ConfigError(
                f"the {self.kind} {name!r} needs {self._config_type.__name__}(...), not {type(config).__name__}."
            )
        self._assigned[name] = config

    def __delitem__(self, name: str) -> None:
        """Forget ``name``, in this process."""
        if name not in self:
            raise KeyError(name)
        self._assigned.pop(name, None)
        self._deleted.add(name)

    def __iter__(self) -> Iterator[str]:
        claims = self._claims()
        yield from [name for name in claims if name in self._assigned or len(claims[name]) == 1]
        yield from [name for name in self._assigned if name not in claims]

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return name in self._assigned or len(self._claims().get(name, ())) == 1  # type: ignore[call-overload]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} {self.kind} names>"

    def owner(self, name: str) -> str:
        """Return who registered ``name``: a distribution and its version, or ``"this process"``."""
        return "this process" if name in self._assigned else sole_claim(self.kind, name, self._claims()[name]).owner

    def conflicts(self) -> dict[str, list[str]]:
        """Return each name that several plugins claim and nobody decided, with the claiming distributions."""
        return {
            name: [claim.owner for claim in claims]
            for name, claims in self._claims().items()
            if len(claims) > 1 and name not in self._assigned
        }

    def _claims(self) -> Claims[C]:
        claims = self._claimed()
        return {name: claims[name] for name in claims if name not in self._deleted} if self._deleted else claims


def embedder_claims() -> Claims[EmbedderConfig]:
    """Return the embedding models as the plugins claim them."""
    return plugin_manager().claims("flagembedding_embedder_configs", lambda tables: tables.embedders)


def reranker_claims() -> Claims[RerankerConfig]:
    """Return the rerankers as the plugins claim them."""
    return plugin_manager().claims("flagembedding_reranker_configs", lambda tables: tables.rerankers)


EMBEDDERS: ModelMapping[EmbedderConfig] = ModelMapping("embedder", EmbedderConfig, embedder_claims)
RERANKERS: ModelMapping[RerankerConfig] = ModelMapping("reranker", RerankerConfig, reranker_claims)
