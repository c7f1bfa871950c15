"""``flagembedding new-plugin``."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from string import Template

import click

from FlagEmbedding import __version__

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_SUFFIX = ".template"  # so that no tool takes a template for the code that will be made of it
_PACKAGE = "PACKAGE"


def _checked(_context: click.Context, _parameter: click.Parameter, name: str) -> str:
    if not _NAME.fullmatch(name):
        raise click.BadParameter(f"{name!r} is no name of a plugin: lower-case letters, digits and hyphens, as in acme")
    return name


@click.command("new-plugin")
@click.argument("name", callback=_checked)
@click.option("--into", type=click.Path(file_okay=False, path_type=Path), default=".", show_default=True,
              help="Where the plugin's folder is made.")  # fmt: skip
def command(name: str, into: Path) -> None:
    """Write the plugin NAME: a package flagembedding-NAME that can be installed, with one model and its tests.

    Prints the path of each file.
    """
    folder = into / f"flagembedding-{name}"
    if folder.exists():
        raise click.ClickException(f"{folder} is there already, and nothing was written. Name another, or move it.")
    for path in _write(folder, name):
        click.echo(path)
    click.echo(f"Next: pip install -e {folder}[test], then pytest {folder}; its README.md says the rest.", err=True)


def _write(folder: Path, name: str) -> Iterator[Path]:
    words = _words(name)
    for place, template in _templates(files("FlagEmbedding.cli") / "templates" / "plugin"):
        path = folder / place.replace(_PACKAGE, words["module"]).removesuffix(_SUFFIX)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(template).substitute(words), encoding="utf-8")
        yield path


def _words(name: str) -> dict[str, str]:
    """Return what the templates leave open."""
    major, minor = map(int, __version__.split(".")[:2])
    return {
        "name": name,
        "module": f"flagembedding_{name.replace('-', '_')}",
        "title": "".join(part.capitalize() for part in name.split("-")),
        "core": f">={major}.{minor},<{major}.{minor + 1}",
    }


def _templates(folder: Traversable, place: str = "") -> Iterator[tuple[str, str]]:
    """Yield each template with its place, in order of name."""
    for item in sorted(folder.iterdir(), key=lambda item: item.name):
        if item.is_dir():
            yield from _templates(item, f"{place}{item.name}/")
        elif item.name.endswith(_SUFFIX):
            yield place + item.name, item.read_text(encoding="utf-8")
