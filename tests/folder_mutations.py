"""Mutations of model folders: what damage, carelessness and malice do to them, drawn from a seed."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from hostile_settings import HOSTILE, VALUES, Evil
from safetensors.torch import load_file, save_file

WEIGHTS = "model.safetensors"


@dataclass
class Mutation:
    """One mutated folder.

    Attributes:
        draw: The randomness.
        folder: The model.
        others: Good folders of other models.
        trap: The file that hostile code would create.
    """

    draw: random.Random
    folder: Path
    others: list[Path]
    trap: Path

    def apply(self) -> str:
        """Change the folder, and return what was done in words."""
        names = [name for name in dir(self) if name.startswith("do_")]
        weights = [{"do_replace_value": 6, "do_add_hostile_setting": 6, "do_pickle": 5}.get(name, 1) for name in names]
        chosen = self.draw.choices(names, weights)[0]
        return f"{chosen[3:]}: {getattr(self, chosen)()}"

    def do_replace_value(self) -> str:
        value, place = self.draw.choice(VALUES), ""

        def replace(content: Any) -> Any:
            nonlocal place
            here, steps = content, []
            while True:
                keys = list(here) if isinstance(here, dict) else list(range(len(here)))
                if not keys:
                    break
                steps.append(self.draw.choice(keys))
                inner = here[steps[-1]]
                if not isinstance(inner, (dict, list)) or not inner or self.draw.random() < 0.4:
                    here[steps[-1]] = value
                    break
                here = inner
            place = ".".join(map(str, steps))
            return content

        return f"{self._edit(replace)} {place} = {repr(value)[:60]}"

    def do_replace_file(self) -> str:
        value = self.draw.choice(VALUES)
        return f"{self._edit(lambda _: value)} = {repr(value)[:60]}"

    def do_remove_key(self) -> str:
        def remove(content: Any) -> Any:
            if content:
                content.pop(self.draw.choice(list(content) if isinstance(content, dict) else range(len(content))))
            return content

        return self._edit(remove)

    def do_add_hostile_setting(self) -> str:
        added = self.draw.choice(HOSTILE)
        (self.folder / "code.py").write_text(f"import pathlib; pathlib.Path({str(self.trap)!r}).touch()\n")
        name = self.draw.choice(["config.json", "config.json", "tokenizer_config.json", "processor_config.json"])
        path = self.folder / name
        content = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        path.write_text(json.dumps({**content, **added}), encoding="utf-8")
        return f"{name} {added}"

    def do_lead_out(self) -> str:
        folder = self.draw.choice(
            ["../other", "/tmp", "..", "C:\\x", "a/../../b", "\\\\host\\share", "x\0y", "y" * 5000]
        )
        path = self.folder / "modules.json"
        if not path.exists():
            return "nothing"
        modules = json.loads(path.read_text(encoding="utf-8"))
        self.draw.choice(modules)["path"] = folder
        path.write_text(json.dumps(modules), encoding="utf-8")
        return folder[:20]

    def do_shards(self) -> str:
        """Weights in another file, which an index names: a file of the folder, or one outside of it."""
        shard = self.draw.choice(
            ["part.safetensors", "../part.safetensors", str(self.folder.parent / "p.safetensors"), 5]
        )
        weights = self.folder / WEIGHTS
        if isinstance(shard, str):
            weights.rename(self.folder / shard)
            names = list(load_file(self.folder / shard))
        else:
            names = ["a"]
        index = {"metadata": {}, "weight_map": dict.fromkeys(names, shard)}
        (self.folder / f"{WEIGHTS}.index.json").write_text(json.dumps(index))
        return str(shard)

    def do_truncate(self) -> str:
        path = self._file()
        content = path.read_bytes()
        kept = self.draw.choice([0, 1, 8, len(content) // 2, max(0, len(content) - 1)])
        path.write_bytes(content[:kept])
        return f"{path.name} to {kept} bytes"

    def do_flip_bytes(self) -> str:
        path = self._file()
        content = bytearray(path.read_bytes())
        for _ in range(self.draw.randint(1, 20)):
            content[self.draw.randrange(len(content))] = self.draw.randrange(256)
        path.write_bytes(content)
        return path.name

    def do_swap(self) -> str:
        path, other = self._file(), self.draw.choice(self.others)
        relative = path.relative_to(self.folder)
        if not (other / relative).is_file():
            return "nothing"
        shutil.copy(other / relative, path)
        return f"{relative} of {other.name}"

    def do_put_something_else(self) -> str:
        path = self._file()
        kinds: dict[str, Callable[[], object]] = {
            "a folder": path.mkdir,
            "a pipe": lambda: os.mkfifo(path),
            "a link to nothing": lambda: path.symlink_to("nothing"),
            "a link to itself": lambda: path.symlink_to(path.name),
            "a link to a device": lambda: path.symlink_to("/dev/zero"),
            "a link to another file": lambda: path.symlink_to("/etc/passwd"),
            "nothing": lambda: None,
        }
        what = self.draw.choice(sorted(kinds))
        path.unlink()
        kinds[what]()
        return f"{what} for {path.name}"

    def do_link_out(self) -> str:
        """What the hub's cache does: the file lies elsewhere."""
        path = self._file()
        shutil.move(path, self.folder.parent / "moved")
        path.symlink_to(self.folder.parent / "moved")
        return path.name

    def do_weights(self) -> str:
        path = self.draw.choice(sorted(self.folder.rglob(WEIGHTS)))
        tensors = load_file(path)
        name = self.draw.choice(sorted(tensors))
        weight = tensors[name]
        changes: dict[str, Callable[[], object]] = {
            "NaN": lambda: weight.view(-1)[0].fill_(torch.nan),
            "infinity": lambda: weight.view(-1)[-1].fill_(torch.inf),
            "gone": lambda: tensors.pop(name),
            "one too many": lambda: tensors.update({f"{name}.strange": torch.ones(2)}),
            "another shape": lambda: tensors.update({name: torch.ones(3)}),
            "whole numbers": lambda: tensors.update({name: weight.long()}),
            "float16": lambda: tensors.update({key: value.half() for key, value in tensors.items()}),
            "no element": lambda: tensors.update({name: torch.ones(0)}),
        }
        what = self.draw.choice(sorted(changes))
        changes[what]()
        save_file(tensors, path, {"format": "pt"})
        return f"{name} of {path.relative_to(self.folder)}: {what}"

    def do_pickle(self) -> str:
        """Weights that are a program."""
        old = self.folder.rglob("pytorch_model.bin")
        weights = self.draw.choice(sorted([*self.folder.rglob(WEIGHTS), *old]))
        name = self.draw.choice([*["pytorch_model.bin"] * 6, "training_args.bin", ".metadata", "vocab.pkl"])
        path = weights.with_name(name)
        form = self.draw.choice(["zip", "legacy", "bare"]) if path.stem[:1] != "." else "bare"
        if form == "bare":
            path.write_bytes(pickle.dumps({"linear.weight": Evil(self.trap)}, protocol=2))
        else:
            content = {"linear.weight": Evil(self.trap)}
            torch.save(content, path, _use_new_zipfile_serialization=form == "zip")
        if name == "pytorch_model.bin" and weights != path:
            weights.unlink()
        if name == ".metadata":
            weights.rename(weights.with_name("shard-00000-model-00001-of-00001.safetensors"))
        return f"{path.relative_to(self.folder)} ({form})"

    def _file(self) -> Path:
        return self.draw.choice(sorted(path for path in self.folder.rglob("*") if path.is_file()))

    def _edit(self, change: Callable[[Any], Any]) -> str:
        path = self.draw.choice(sorted(self.folder.rglob("*.json")))
        content = change(json.loads(path.read_text(encoding="utf-8")))
        try:
            text = json.dumps(content)
        except RecursionError:
            text = "[" * 100_000
        path.write_text(text, encoding="utf-8")
        return str(path.relative_to(self.folder))
