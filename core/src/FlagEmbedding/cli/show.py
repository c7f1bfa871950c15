"""``flagembedding show``."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any, cast

import click

from FlagEmbedding.cli.table import show_json, show_table
from FlagEmbedding.errors import UnknownModelError
from FlagEmbedding.model_config import ModelConfig
from FlagEmbedding.registry.mapping import EMBEDDERS, RERANKERS, ModelMapping
from FlagEmbedding.registry.names import clean_name, find_entry
from FlagEmbedding.registry.resolution import Resolution, Resolver, resolve_embedder, resolve_reranker

_KINDS: tuple[tuple[ModelMapping[Any], Resolver[Any]], ...] = (
    (EMBEDDERS, resolve_embedder),
    (RERANKERS, resolve_reranker),
)


@click.command("show")
@click.argument("name")
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(name: str, as_json: bool) -> None:
    """Show how NAME (a name, a hub id or a local folder) would be loaded, and where each value comes from."""
    kind, found, owner = _resolved(name)
    rows = [
        {"setting": "kind", "from": owner, "value": kind},
        {"setting": "loaded from", "from": "the name", "value": found.source},
        *_settings(found.config, owner),
    ]
    if as_json:
        show_json(rows)
    else:
        show_table([{**row, "value": _shown(row["value"])} for row in rows])


def _resolved(name: str) -> tuple[str, Resolution[Any], str]:
    """Return the kind of the model, what its name leads to, and who says so."""
    text = clean_name(name)
    for mapping, resolve in _KINDS:
        entry = find_entry(text, mapping)
        if entry is not None:
            config = mapping[entry]
            # Shown all the same when it cannot be run: that is one of the things to know of it.
            found = Resolution(config.hub_id or entry, config, entry) if config.unsupported else resolve(text)
            return mapping.kind, found, mapping.owner(entry)
    return _detected(text)


def _detected(text: str) -> tuple[str, Resolution[Any], str]:
    errors: list[ValueError] = []
    for mapping, resolve in _KINDS:
        try:
            return mapping.kind, resolve(text), "the model's files"
        except UnknownModelError:
            raise
        except ValueError as error:  # a model of the other kind
            errors.append(error)
    raise errors[0]


def _settings(config: ModelConfig, owner: str) -> Iterator[dict[str, Any]]:
    defaults = {field.name: _default(field) for field in dataclasses.fields(cast("Any", config))}
    for name, value in {**config.as_dict(), "model_class": config.model_class_reference}.items():
        yield {"setting": name, "from": "default" if value == defaults[name] else owner, "value": value}


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _shown(value: object) -> str:
    if value is None or value in ((), {}):
        return "-"
    return ", ".join(map(str, value)) if isinstance(value, tuple) else str(value)
