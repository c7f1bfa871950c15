"""Write the install hints of the core: which plugin of this workspace brings which name.

python tools/generate_hints.py           # rewrite the table
python tools/generate_hints.py --check   # fail if it is not current
"""

from __future__ import annotations

import json
import sys

from workspace import ROOT, own_plugins, write_or_check


def hints() -> dict[str, dict[str, str]]:
    """Return name to distribution, for models, model classes, exports and engines of the plugins in this workspace."""
    table: dict[str, dict[str, str]] = {"models": {}, "model_classes": {}, "exports": {}, "engines": {}}
    for record in own_plugins():
        tables, distribution = record.contribution, record.distribution
        table["models"].update(dict.fromkeys([*tables.embedders, *tables.rerankers], distribution))
        table["engines"].update(dict.fromkeys(tables.engines, distribution))
        for classes in (tables.embedder_classes, tables.reranker_classes):
            table["model_classes"].update(dict.fromkeys(classes, distribution))
            for model_class in classes.values():
                table["exports"].update(dict.fromkeys(model_class.exports, distribution))
    return table


if __name__ == "__main__":
    TABLE = ROOT / "core/src/FlagEmbedding/registry/hints.json"
    sys.exit(write_or_check(TABLE, json.dumps(hints(), indent=1) + "\n"))
