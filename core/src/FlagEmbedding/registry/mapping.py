"""The mapping from names to configurations: what the plugins claim, and on top of it what this process registered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableMapping
from typing import Generic, TypeVar

from FlagEmbedding.claims import Claims, sole_claim
from FlagEmbedding.config import EmbedderConfig, RerankerConfig
from FlagEmbedding.errors import ConfigError
from FlagEmbedding.model_config import ModelConfig
from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.registry.claim_table import ClaimTable

C = TypeVar("C", bound=ModelConfig)


_REQUIRED = {"embedder": "model_class, pooling_method", "reranker": "model_class"}


class ModelMapping(MutableMapping[str, C], Generic[C]):
    """An ordered mapping of model names; assignments count at once.

    Names that plugins claim come first, in the plugins' order, then those that were assigned. A name that two plugins
    claim is left out of iteration (one conflict must not break a listing) and raises when it is asked for; assigning
    it decides the conflict.
    """

    def __init__(self, kind: str, config_type: type[C], claims: Callable[[], Claims[C]]) -> None:
        self.kind = kind
        self._config_type = config_type
        self._table = ClaimTable(kind, claims)

    def __getitem__(self, name: str) -> C:
        """Return the configuration of ``name``.

        Raises:
            KeyError: Nobody registered it.
            NameConflictError: More than one plugin did.
        """
        claims = self._table.claims().get(name)
        if not claims:
            raise KeyError(name)
        return sole_claim(self.kind, name, claims).value

    def __setitem__(self, name: str, config: C) -> None:
        """Register ``config`` under ``name``, in place of whatever anybody says of it.

        Raises:
            ConfigError: The name is no usable string, or the value no configuration of this mapping's kind.
        """
        self.register([name], config, replace=True)

    def register(self, names: Iterable[str], config: C, *, replace: bool = False) -> None:
        """Register ``config`` under each of ``names``.

        Raises:
            ConfigError: A name is no usable string, or the value no configuration of this mapping's kind.
            NameConflictError: A name is registered already, for something else, and ``replace`` is False.
        """
        names = list(names)
        if not isinstance(config, self._config_type):
            raise ConfigError(
                f"the {self.kind} {names[0]!r} needs {self._config_type.__name__}({_REQUIRED[self.kind]}, ...), not "
                f"{type(config).__name__}."
            )
        self._table.register(names, config, replace=replace)

    def __delitem__(self, name: str) -> None:
        """Forget ``name``, in this process."""
        if name not in self:
            raise KeyError(name)
        self._table.delete(name)

    def __iter__(self) -> Iterator[str]:
        return iter([name for name, claims in self._table.claims().items() if len(claims) == 1])

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __contains__(self, name: object) -> bool:
        return len(self._table.claims().get(name, ())) == 1  # type: ignore[call-overload]

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)} {self.kind} names>"

    def owner(self, name: str) -> str:
        """Return who registered ``name``: a distribution and its version, or where in this process it was done."""
        return sole_claim(self.kind, name, self._table.claims()[name]).owner

    def conflicts(self) -> dict[str, list[str]]:
        """Return each name that several plugins claim and nobody decided, with the claiming distributions."""
        claims = self._table.claims()
        return {name: [claim.owner for claim in claims[name]] for name in claims if len(claims[name]) > 1}


def embedder_claims() -> Claims[EmbedderConfig]:
    """Return the embedding models as the plugins claim them."""
    return plugin_manager().claims("flagembedding_embedder_configs", lambda tables: tables.embedders)


def reranker_claims() -> Claims[RerankerConfig]:
    """Return the rerankers as the plugins claim them."""
    return plugin_manager().claims("flagembedding_reranker_configs", lambda tables: tables.rerankers)


EMBEDDERS: ModelMapping[EmbedderConfig] = ModelMapping("embedder", EmbedderConfig, embedder_claims)
RERANKERS: ModelMapping[RerankerConfig] = ModelMapping("reranker", RerankerConfig, reranker_claims)
