"""The command and its parts: each command is a module, imported when it is called."""

from __future__ import annotations

import importlib
import sys

import click

from FlagEmbedding import __version__
from FlagEmbedding.errors import FlagEmbeddingError

_COMMANDS = {
    "completion": "print a script that completes this command in a shell",
    "doctor": "look for what keeps models from loading",
    "embed": "embed files of any size into Parquet files; goes on after an interruption",
    "encode": "turn texts into vectors (JSONL)",
    "models": "list the models that the installed plugins register",
    "new-plugin": "write a plugin that can be installed, with its tests",
    "plugins": "list the plugins: active, disabled and failed",
    "rerank": "sort texts by relevance to a query (JSONL)",
    "show": "show how a model would be loaded, and where each value comes from",
}


class _Commands(click.Group):
    """Imports a command's module when that command is called: ``models`` must not wait for torch."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return sorted(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's
        if cmd_name not in _COMMANDS:
            return None
        module = importlib.import_module(f"FlagEmbedding.cli.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 - click's
        with formatter.section("Commands"):
            formatter.write_dl(list(_COMMANDS.items()))

    def invoke(self, ctx: click.Context) -> object:
        """Run the command; our errors are messages, anything else keeps its traceback."""
        try:
            return super().invoke(ctx)
        except FlagEmbeddingError as error:
            raise click.ClickException(str(error)) from error


@click.group(cls=_Commands)
@click.version_option(__version__, prog_name="flagembedding", package_name="flagembedding-core")
def cli() -> None:
    """Embedding models by name, from plugins.

    Data goes to stdout, messages to stderr. Exit status: 0 done, 1 failed, 2 wrong usage.
    """


def main() -> None:
    """Run the command line."""
    sys.exit(cli())
