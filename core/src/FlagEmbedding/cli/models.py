"""``flagembedding models``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from FlagEmbedding.claims import THIS_PROCESS
from FlagEmbedding.cli.table import show_json, show_table
from FlagEmbedding.config import EmbedderConfig
from FlagEmbedding.model_config import ModelConfig
from FlagEmbedding.registry.mapping import EMBEDDERS, RERANKERS, ModelMapping

_MAPPINGS: tuple[ModelMapping[Any], ...] = (EMBEDDERS, RERANKERS)


@click.command("models")
@click.option("--kind", type=click.Choice([mapping.kind for mapping in _MAPPINGS]), help="Only these.")
@click.option("--json", "as_json", is_flag=True, help="Everything that is known of each model, as JSON.")
def command(kind: str | None, as_json: bool) -> None:
    """List the models that the installed plugins register."""
    mappings = [mapping for mapping in _MAPPINGS if kind in (None, mapping.kind)]
    if as_json:
        show_json([_details(*entry) for entry in _entries(mappings)])
    else:
        show_table([_row(*entry) for entry in _entries(mappings)])
    _say_what_is_missing(mappings)


def _entries(mappings: list[ModelMapping[Any]]) -> Iterator[tuple[ModelMapping[Any], str, ModelConfig]]:
    for mapping in mappings:
        for name, config in mapping.items():
            yield mapping, name, config


def _row(mapping: ModelMapping[Any], name: str, config: Any) -> dict[str, Any]:
    return {
        "name": name,
        "kind": mapping.kind,
        "family": _family(mapping.owner(name)),
        "dimension": config.dimension if isinstance(config, EmbedderConfig) else None,
        "max length": config.max_length,
        "licence": config.licence,
        "hub id": f"{config.hub_id} (cannot be run here)" if config.unsupported else config.hub_id,
    }


def _family(owner: str) -> str:
    return THIS_PROCESS if owner.startswith(THIS_PROCESS) else owner.partition(" ")[0].removeprefix("flagembedding-")


def _details(mapping: ModelMapping[Any], name: str, config: ModelConfig) -> dict[str, Any]:
    known = {**config.as_dict(), "model_class": config.model_class_reference}
    return {"name": name, "kind": mapping.kind, "registered_by": mapping.owner(name), **known}


def _say_what_is_missing(mappings: list[ModelMapping[Any]]) -> None:
    if not any(mappings):
        click.echo("No model is registered. Install a family: pip install 'flagembedding-core[all]'", err=True)
    for mapping in mappings:
        for name, owners in mapping.conflicts().items():
            click.echo(f"{name!r} is left out: claimed by {' and '.join(owners)}.", err=True)
