"""A BERT-like encoder's weights, read straight from its file.

transformers' modelling code takes longer to import than such a model takes to load, and more memory than a small one.
Where the configuration leaves no doubt what the network is, the lean encoder needs the weights alone; and it makes
something else of most of them, so they are read layer by layer: no two forms of all of them are ever in memory.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import nn

from FlagEmbedding.engine.explaining import explained

# The families whose modules are BERT's: what their heads call the backbone, and whether positions count from the
# padding token's.
_FAMILIES = {
    "bert": ("bert.", False),
    "roberta": ("roberta.", True),
    "xlm-roberta": ("roberta.", True),
    "camembert": ("roberta.", True),
}

# What a configuration must not say, for the network to be that of the paper; absent means the first.
_PLAIN: Mapping[str, tuple[Any, ...]] = {
    "hidden_act": ("gelu",),
    "position_embedding_type": ("absolute", None),
    "is_decoder": (False, None),
    "add_cross_attention": (False, None),
    "quantization_config": (None,),
    "auto_map": (None,),
    "transformers_weights": (None,),
}

_TABLES, _LAYERS = "embeddings.", "encoder.layer."

# Buffers that older checkpoints hold.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")


class BareEncoder(nn.Module):
    """The tables of a BERT-like backbone under their usual names, and its layers, read when they are asked for.

    It cannot be run.

    Args:
        config: transformers' configuration of the model.
        file: Where the weights are.
        padded_positions: Whether the padding token has a position of its own.
    """

    def __init__(self, config: Any, file: WeightFile, *, padded_positions: bool) -> None:
        super().__init__()
        self.config = config
        self._file = file
        width, padding = config.hidden_size, config.pad_token_id
        norm = functools.partial(nn.LayerNorm, width, eps=config.layer_norm_eps)
        self._new_layer = functools.partial(_layer, width, config.intermediate_size, norm)
        with torch.device("meta"):
            self.embeddings = _Modules(
                word_embeddings=_table(config.vocab_size, width, padding),
                position_embeddings=_table(
                    config.max_position_embeddings, width, padding if padded_positions else None
                ),
                token_type_embeddings=_table(config.type_vocab_size, width),
                LayerNorm=norm(),
            )

    def shapes(self) -> dict[str, torch.Size]:
        """Return the shape of each weight, of the layers' too, by its name in the backbone."""
        with torch.device("meta"):
            layer = self._new_layer().state_dict()
        tables = {f"{_TABLES}{name}": tensor.shape for name, tensor in self.embeddings.state_dict().items()}
        return tables | {
            f"{_LAYERS}{index}.{name}": tensor.shape
            for index in range(self.config.num_hidden_layers)
            for name, tensor in layer.items()
        }

    def read_tables(self) -> None:
        """Read the tables. Their rows stay in the file until a token needs them: it is mapped into memory."""
        self._file.fill(self.embeddings, _TABLES)
        self.eval().requires_grad_(requires_grad=False)

    def layers(self) -> Iterator[nn.Module]:
        """Read the layers, one at a time, onto the device of the tables; each has memory of its own.

        Raises:
            CheckpointError: The file is no longer what it was.
        """
        device = self.get_input_embeddings().weight.device
        for index in range(self.config.num_hidden_layers):
            with torch.device("meta"):
                layer = self._new_layer()
            with explained("weights", self.config.name_or_path):
                self._file.fill(layer, f"{_LAYERS}{index}.", copy=True)
            yield layer.eval().requires_grad_(requires_grad=False).to(device)

    def get_input_embeddings(self) -> nn.Embedding:
        """Return the table of the tokens, as transformers' models do."""
        table = self.embeddings.get_submodule("word_embeddings")
        assert isinstance(table, nn.Embedding)
        return table


class WeightFile:
    """A safetensors file with the weights of a backbone.

    Args:
        path: Where it is.
        prefix: What a model with a head puts before the names of the backbone's weights; it may be missing.
        dtype: What they are read in.
    """

    def __init__(self, path: Path, prefix: str, dtype: torch.dtype) -> None:
        self._path = path
        self._dtype = dtype
        with safe_open(path, framework="pt") as file:
            inside = list(file.keys())
            self._names = {name.removeprefix(prefix): name for name in inside}
            self._shapes = {own: tuple(file.get_slice(name).get_shape()) for own, name in self._names.items()}
        self._twice = len(self._names) < len(inside)

    def holds(self, shapes: Mapping[str, tuple[int, ...]], unused: tuple[str, ...]) -> bool:
        """Say whether it holds just these weights, and others only whose names begin with one of ``unused``."""
        known = all(self._shapes.get(name) == tuple(shape) for name, shape in shapes.items())
        return known and not self._twice and all(name.startswith(unused) for name in self._names.keys() - shapes.keys())

    def fill(self, module: nn.Module, part: str, *, copy: bool = False) -> None:
        """Give a module without content its weights, whose names here begin with ``part``.

        They are views of the file, which is mapped into memory as long as one of them lives, unless they are copied.
        """
        with safe_open(self._path, framework="pt") as file:
            weights = {
                name: file.get_tensor(self._names[part + name]).to(self._dtype, copy=copy)
                for name in module.state_dict()
            }
        module.load_state_dict(weights, assign=True)


class _Modules(nn.Module):
    """Modules under names."""

    def __init__(self, /, **modules: nn.Module) -> None:
        super().__init__()
        for name, module in modules.items():
            self.add_module(name, module)


def _table(rows: int, width: int, padding: int | None = None) -> nn.Embedding:
    # A weight that is given is not drawn at random, for which torch would import its compiler.
    return nn.Embedding(rows, width, padding, _weight=torch.empty(rows, width))


def _layer(width: int, inner: int, norm: Any) -> _Modules:
    own = _Modules(**{name: nn.Linear(width, width) for name in ("query", "key", "value")})
    return _Modules(
        attention=_Modules(self=own, output=_Modules(dense=nn.Linear(width, width), LayerNorm=norm())),
        intermediate=_Modules(dense=nn.Linear(width, inner), intermediate_act_fn=nn.GELU()),
        output=_Modules(dense=nn.Linear(inner, width), LayerNorm=norm()),
    )


def bare_encoder(folder: Path, config: Any, dtype: torch.dtype, unused: Sequence[str] = ()) -> BareEncoder | None:
    """Return the backbone in ``folder`` on the CPU, in ``dtype``; None wherever anything is out of the ordinary.

    Then transformers loads it, or says what is wrong with it.

    Args:
        folder: The checkpoint.
        config: transformers' configuration of the model.
        dtype: Of its weights.
        unused: Prefixes of weights that the checkpoint may hold for another use.
    """
    path = folder / "model.safetensors"
    if not path.is_file() or (folder / "adapter_config.json").exists() or not _is_plain(config):
        return None
    prefix, padded_positions = _FAMILIES[config.model_type]
    file = WeightFile(path, prefix, dtype)
    model = BareEncoder(config, file, padded_positions=padded_positions)
    if not file.holds(model.shapes(), (*unused, *_BUFFERS)):
        return None
    model.read_tables()
    return model


def _is_plain(config: Any) -> bool:
    if config.model_type not in _FAMILIES or (config.model_type != "bert" and config.pad_token_id is None):
        return False
    heads = config.num_attention_heads
    if config.num_hidden_layers < 1 or heads < 1 or config.hidden_size % heads:
        return False
    return all(getattr(config, name, known[0]) in known for name, known in _PLAIN.items())
