"""Try the built wheels in the environment they were installed into, away from the sources."""

from __future__ import annotations

import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import FlagEmbedding
from FlagEmbedding import FlagAutoModel

COMMAND = Path(sys.executable).with_name("flagembedding")


def main() -> None:
    """Check that the wheels are complete: code, types, licence, plugins, the command, and a real vector."""
    if "site-packages" not in str(FlagEmbedding.__file__):
        sys.exit(f"not the installed package: {FlagEmbedding.__file__}")
    plugins = json.loads(subprocess.check_output([COMMAND, "plugins", "--json"]))
    for plugin in plugins:
        files = {Path(str(file)).name for file in importlib.metadata.files(plugin["distribution"]) or ()}
        missing = {"py.typed", "LICENSE"} - files
        if plugin["status"] != "active" or missing:
            sys.exit(f"{plugin} lacks {missing}")
    models = json.loads(subprocess.check_output([COMMAND, "models", "--json"]))
    vector = FlagAutoModel.from_finetuned("all-MiniLM-L6-v2", devices="cpu").encode("text")
    print(f"wheels: {len(plugins)} plugins active, {len(models)} models listed, one vector of {len(vector)}")


if __name__ == "__main__":
    main()
