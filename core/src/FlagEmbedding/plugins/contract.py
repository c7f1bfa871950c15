"""What a plugin must hold to, checked while it is loaded: its faults are known before its models are asked for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pluggy

from FlagEmbedding.claims import is_claimable
from FlagEmbedding.config import EmbedderConfig, ModelClass, RerankerConfig
from FlagEmbedding.errors import PluginError
from FlagEmbedding.plugins import hookspecs
from FlagEmbedding.plugins.records import Contribution
from FlagEmbedding.references import is_reference
from FlagEmbedding.spelling import did_you_mean

_PREFIX = f"{hookspecs.PROJECT}_"
_SPECIFIED = [name for name in vars(hookspecs) if name.startswith(_PREFIX)]

# Each hook that returns a table: the field of Contribution that keeps it, and the type of its values.
_TABLES: dict[str, tuple[str, type]] = {
    "flagembedding_embedder_configs": ("embedders", EmbedderConfig),
    "flagembedding_reranker_configs": ("rerankers", RerankerConfig),
    "flagembedding_embedder_classes": ("embedder_classes", ModelClass),
    "flagembedding_reranker_classes": ("reranker_classes", ModelClass),
    "flagembedding_pooling_functions": ("poolings", str),
    "flagembedding_engines": ("engines", str),
}


def check_hooks(manager: pluggy.PluginManager, plugin: object) -> None:
    """Check what pluggy does not: hooks nobody calls, functions that lack the marker, plugins without any hook.

    Raises:
        PluginError: One of these; pluggy itself checks the arguments when the plugin is registered.
    """
    options = {name: manager.parse_hookimpl_opts(plugin, name) for name in dir(plugin) if name.startswith(_PREFIX)}
    for name, marked in options.items():
        if marked is None and callable(getattr(plugin, name)):
            raise PluginError(f"its function {name} is not marked with @hookimpl, so it would never be called")
        if marked and name not in _SPECIFIED and not marked["optionalhook"]:
            raise PluginError(f"this version of flagembedding-core has no hook {name}. {_near(name)}")
        if marked and (marked["hookwrapper"] or marked["wrapper"]):
            raise PluginError(f"its hook {name} is a wrapper; wrappers around other plugins are not supported")
    if not any(options.values()):
        raise PluginError(f"it implements none of the hooks ({', '.join(_SPECIFIED)})")


def _near(name: str) -> str:
    return did_you_mean(name, _SPECIFIED) or f"Known: {', '.join(_SPECIFIED)}."


def collect(implementations: Mapping[str, Callable[[], object]]) -> Contribution:
    """Call each hook that returns a table, and return the checked tables.

    Raises:
        PluginError: A hook returned no mapping, or one with a wrong key or value.
    """
    tables: dict[str, Any] = {}
    for hook, (field, value_type) in _TABLES.items():
        if hook in implementations:
            tables[field] = _checked(hook, implementations[hook](), value_type)
    return Contribution(**tables)


def _checked(hook: str, table: object, value_type: type) -> Mapping[str, Any]:
    if not isinstance(table, Mapping):
        raise PluginError(f"its hook {hook} returned {type(table).__name__}, not a mapping of names")
    for name, value in table.items():
        if not is_claimable(name):
            raise PluginError(f"its hook {hook} names an entry {name!r}; a name is a string without outer blanks")
        if not isinstance(value, value_type):
            raise PluginError(f"its hook {hook} gives {name!r} a {type(value).__name__}, not a {value_type.__name__}")
        if isinstance(value, str) and not is_reference(value):
            raise PluginError(f"its hook {hook} gives {name!r} the value {value!r}, which is not 'module:name'")
    return dict(table)
