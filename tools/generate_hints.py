"""Write the install hints of the core: which plugin of this workspace brings which name.

python tools/generate_hints.py           # rewrite the table
python tools/generate_hints.py --check   # fail if it is not current
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from FlagEmbedding.plugins.manager import PluginManager

ROOT = Path(__file__).resolve().parent.parent
TABLE = ROOT / "core/src/FlagEmbedding/registry/hints.json"


def hints() -> dict[str, dict[str, str]]:
    """Return name to distribution, for models, model classes and exports of the plugins in this workspace."""
    ours = ",".join(f"flagembedding-{path.name}" for path in (ROOT / "plugins").iterdir())
    manager = PluginManager({"FLAGEMBEDDING_PLUGINS": ours, "FLAGEMBEDDING_STRICT_PLUGINS": "1"})
    table: dict[str, dict[str, str]] = {"models": {}, "model_classes": {}, "exports": {}}
    for record in manager.records():
        tables, distribution = record.contribution, record.distribution
        table["models"].update(dict.fromkeys(tables.embedders, distribution))
        table["model_classes"].update(dict.fromkeys(tables.model_classes, distribution))
        for model_class in tables.model_classes.values():
            table["exports"].update(dict.fromkeys(model_class.exports, distribution))
    return table


def main() -> int:
    """Write or check the table."""
    text = json.dumps(hints(), indent=1) + "\n"
    if "--check" not in sys.argv[1:]:
        TABLE.write_text(text, encoding="utf-8")
        return 0
    current = TABLE.read_text(encoding="utf-8") == text
    if not current:
        print(f"{TABLE.relative_to(ROOT)} is not current. Run: make generate", file=sys.stderr)
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
