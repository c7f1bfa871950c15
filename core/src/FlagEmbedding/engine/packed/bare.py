"""A BERT-like encoder's weights, read straight from its file.

transformers' modelling code takes longer to import than such a model takes to load, and more memory than a small one.
Where the configuration leaves no doubt what the network is, the lean encoder needs the weights alone.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

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

# Buffers that older checkpoints hold.
_BUFFERS = ("embeddings.position_ids", "embeddings.token_type_ids")


class BareEncoder(nn.Module):
    """The modules of a BERT-like backbone under their usual names, on no device yet. It cannot be run.

    Args:
        config: transformers' configuration of the model.
        padded_positions: Whether the padding token has a position of its own.
    """

    def __init__(self, config: Any, *, padded_positions: bool) -> None:
        super().__init__()
        self.config = config
        width, padding = config.hidden_size, config.pad_token_id
        norm = functools.partial(nn.LayerNorm, width, eps=config.layer_norm_eps)
        with torch.device("meta"):
            self.embeddings = _Modules(
                word_embeddings=_table(config.vocab_size, width, padding),
                position_embeddings=_table(
                    config.max_position_embeddings, width, padding if padded_positions else None
                ),
                token_type_embeddings=_table(config.type_vocab_size, width),
                LayerNorm=norm(),
            )
            layers = [_layer(width, config.intermediate_size, norm) for _ in range(config.num_hidden_layers)]
            self.encoder = _Modules(layer=nn.ModuleList(layers))

    def get_input_embeddings(self) -> nn.Module:
        """Return the table of the tokens, as transformers' models do."""
        table: nn.Module = self.embeddings.get_submodule("word_embeddings")
        return table


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
    model = BareEncoder(config, padded_positions=padded_positions)
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    with safe_open(path, framework="pt") as file:
        names = _own_names(file.keys(), prefix)
        fits = (
            len(names) == len(file.keys())
            and wanted.keys() <= names.keys()
            and all(tuple(file.get_slice(names[name]).get_shape()) == tuple(shape) for name, shape in wanted.items())
        )
        if not fits or not all(name.startswith((*unused, *_BUFFERS)) for name in names.keys() - wanted.keys()):
            return None
        model.load_state_dict({name: _tensor(file, names[name], dtype) for name in wanted}, assign=True)
    return model.eval().requires_grad_(requires_grad=False)


def _is_plain(config: Any) -> bool:
    if config.model_type not in _FAMILIES or (config.model_type != "bert" and config.pad_token_id is None):
        return False
    heads = config.num_attention_heads
    if config.num_hidden_layers < 1 or heads < 1 or config.hidden_size % heads:
        return False
    return all(getattr(config, name, known[0]) in known for name, known in _PLAIN.items())


def _own_names(names: Sequence[str], prefix: str) -> dict[str, str]:
    """Return the file's name of each weight, by its name in the backbone."""
    return {name.removeprefix(prefix): name for name in names}


def _tensor(file: Any, name: str, dtype: torch.dtype) -> Tensor:
    tensor: Tensor = file.get_tensor(name)
    return tensor.to(dtype)
