"""What to say of a name that leads nowhere: the nearest names, what to install, and which plugins are out of action."""

from __future__ import annotations

from typing import Any

from FlagEmbedding.plugins.manager import plugin_manager
from FlagEmbedding.plugins.records import Status
from FlagEmbedding.registry.hints import distribution_of_model, hinted_models
from FlagEmbedding.registry.mapping import ModelMapping
from FlagEmbedding.spelling import nearest


def unknown_model(name: str, mapping: ModelMapping[Any]) -> str:
    """Return the message for a name that no installed plugin registers and that is no folder."""
    distribution = distribution_of_model(name.rpartition("/")[2])
    parts = [
        f"unknown model {name!r}: no installed plugin registers it, and there is no such folder.",
        f"It comes with {distribution}. Run: pip install {distribution}." if distribution else _near(name, mapping),
        "Model families are plugins (all of them: pip install 'flagembedding-core[all]').",
        "`flagembedding models` lists the names that are installed; a hub id (org/name) or a local folder works too.",
        *_idle_plugins(),
    ]
    return " ".join(part for part in parts if part)


def no_source(entry: str, mapping: ModelMapping[Any]) -> str:
    """Return the message for a registered name whose files nobody can find."""
    return (
        f"{entry!r} is registered by {mapping.owner(entry)} without a hub_id, and no plugin locates its files. "
        f"Give a local folder, or set hub_id in its configuration."
    )


def _near(name: str, mapping: ModelMapping[Any]) -> str:
    near = [_with_install(found, mapping) for found in nearest(name, [*mapping, *hinted_models()])]
    return f"Did you mean {' or '.join(near)}?" if near else ""


def _with_install(name: str, mapping: ModelMapping[Any]) -> str:
    distribution = None if name in mapping else distribution_of_model(name)
    return f"{name!r} (pip install {distribution})" if distribution else repr(name)


def _idle_plugins() -> list[str]:
    idle = [record for record in plugin_manager().records() if record.status is not Status.ACTIVE]
    return [f"Plugin {record.name!r} ({record.owner}) is {record.status}: {record.reason}." for record in idle]
