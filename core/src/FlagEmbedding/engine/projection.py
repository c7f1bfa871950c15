"""Projection: the layers that some models put after the pooling, as sentence-transformers keeps them.

Each lies in a folder of its own in the model's: ``config.json``, and its weights under the names that they have here.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.completeness import require_complete
from FlagEmbedding.engine.explaining import explained
from FlagEmbedding.engine.weights import read_weights
from FlagEmbedding.errors import CheckpointError, OptionError
from FlagEmbedding.model_config import VECTOR, Check, is_count, is_flag, is_name

# Activations that are made without arguments; what a softmax leaves to be guessed is the last dimension.
_ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    **{
        kind.__name__: kind
        for kind in (
            *(nn.CELU, nn.ELU, nn.GELU, nn.Hardshrink, nn.Hardsigmoid, nn.Hardswish, nn.Hardtanh, nn.Identity),
            *(nn.LeakyReLU, nn.LogSigmoid, nn.Mish, nn.PReLU, nn.ReLU, nn.ReLU6, nn.SELU, nn.SiLU, nn.Sigmoid),
            *(nn.Softplus, nn.Softshrink, nn.Softsign, nn.Tanh, nn.Tanhshrink),
        )
    },
    **{kind.__name__: functools.partial(kind, dim=-1) for kind in (nn.Softmax, nn.Softmin, nn.LogSoftmax)},
}
_MODULES = ("torch.nn", "torch.nn.modules.activation", "torch.nn.modules.linear")

_SIZE: Check = (is_count, "a positive number")
_FLAG: Check = (is_flag, "true or false")

# By setting: its default where it may be left out, and what is valid.
_NORMALIZE: Mapping[str, tuple[object, Check]] = {
    "module_input_name": (None, VECTOR),
    "module_output_name": (None, VECTOR),
}
_DENSE: Mapping[str, tuple[object, Check]] = {
    "in_features": (None, _SIZE),
    "out_features": (None, _SIZE),
    "bias": (True, _FLAG),
    "activation_function": ("torch.nn.Tanh", (is_name, "a name")),
    "use_residual": (False, _FLAG),
    **_NORMALIZE,
}
_LAYER_NORM: Mapping[str, tuple[object, Check]] = {"dimension": (None, _SIZE)}


class Dense(nn.Module):
    """A linear layer and its activation; what came in is added where the model was made so."""

    def __init__(self, source: str, config: Mapping[str, Any]) -> None:
        super().__init__()
        inside, outside = config["in_features"], config["out_features"]
        self.linear = nn.Linear(inside, outside, bias=config["bias"])
        self.activation_function = _activation(source, config["activation_function"])
        self._is_added = config["use_residual"]
        self.residual = (
            nn.Linear(inside, outside, bias=False) if self._is_added and inside != outside else nn.Identity()
        )

    def forward(self, rows: Tensor) -> Tensor:
        """Return ``[texts, out_features]`` of ``[texts, in_features]``."""
        made: Tensor = self.activation_function(self.linear(rows))
        return made + self.residual(rows) if self._is_added else made


class LayerNorm(nn.Module):
    """A layer norm, under the name that its weights have."""

    def __init__(self, _source: str, config: Mapping[str, Any]) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(config["dimension"])

    def forward(self, rows: Tensor) -> Tensor:
        """Return ``[texts, dimension]`` of the same."""
        normed: Tensor = self.norm(rows)
        return normed


class Normalize(nn.Module):
    """Gives vectors length 1, before what follows."""

    def forward(self, rows: Tensor) -> Tensor:
        """Return ``[texts, width]`` of the same."""
        return nn.functional.normalize(rows, dim=-1)


class Projection(nn.Sequential):
    """The layers in a row, float32; none at all for most models.

    Attributes:
        given: The width of the vectors that come in.
        dimension: The width of those that go out.
    """

    def __init__(self, layers: Iterable[nn.Module], given: int, dimension: int) -> None:
        super().__init__(*layers)
        self.given = given
        self.dimension = dimension


def as_modules(modules: Any) -> tuple[tuple[str, str], ...]:
    """Return what a caller or a configuration names as ``modules``.

    Raises:
        OptionError: It is no row of pairs of a class and a folder.
    """
    rows = [tuple(row) if isinstance(row, (list, tuple)) else row for row in _listed(modules)]
    if not all(isinstance(row, tuple) and len(row) == 2 and all(map(is_name, row)) for row in rows):  # noqa: PLR2004
        raise OptionError(f'modules are pairs of a class and a folder, [("Dense", "2_Dense")], not {modules!r}.')
    return tuple(rows)


def _listed(modules: Any) -> Iterable[Any]:
    return modules if isinstance(modules, Iterable) and not isinstance(modules, str) else [modules]


def load_projection(checkpoint: Checkpoint, modules: Iterable[tuple[str, str]], width: int) -> Projection:
    """Return the layers that follow the pooling.

    Args:
        checkpoint: The model's files.
        modules: The class of each (``"Dense"``, ``"LayerNorm"``, ``"Normalize"``) and its folder, in order.
        width: Of the vectors that the pooling gives.

    Raises:
        OptionError: A class is not known.
        CheckpointError: A file is missing or damaged, names an activation that is not known, or does not fit.
    """
    layers: list[nn.Module] = []
    dimension = width
    for kind, folder in modules:
        layer, dimension = _load(checkpoint, kind, folder, dimension)
        layers.append(layer)
    return Projection(layers, width, dimension).eval()


def _load(checkpoint: Checkpoint, kind: str, folder: str, width: int) -> tuple[nn.Module, int]:
    if kind == "Normalize":
        _settings(checkpoint, folder, _NORMALIZE)
        return Normalize(), width
    if kind == "Dense":
        config = _settings(checkpoint, folder, _DENSE)
        _check_width(checkpoint, folder, config["in_features"], width)
        return _filled(checkpoint, folder, lambda source: Dense(source, config)), config["out_features"]
    if kind == "LayerNorm":
        config = _settings(checkpoint, folder, _LAYER_NORM)
        _check_width(checkpoint, folder, config["dimension"], width)
        return _filled(checkpoint, folder, lambda source: LayerNorm(source, config)), width
    raise OptionError(f"modules= names {kind!r} in {folder!r}; known are Dense, LayerNorm and Normalize.")


def _settings(checkpoint: Checkpoint, folder: str, known: Mapping[str, tuple[object, Check]]) -> dict[str, Any]:
    name = f"{folder}/config.json"
    said = checkpoint.settings(name)
    settings = {**{key: default for key, (default, _) in known.items()}, **said}
    for key, value in settings.items():
        if key not in known:
            raise CheckpointError(
                f"{name} of {checkpoint.source!r} says {key}={value!r}, which is not known here; its vectors may be "
                f"wrong without it. Known: {', '.join(known)}."
            )
        is_valid, description = known[key][1]
        if not is_valid(value):
            raise CheckpointError(f"{name} of {checkpoint.source!r} should say {description} as {key}, not {value!r}.")
    return settings


def _check_width(checkpoint: Checkpoint, folder: str, takes: int, width: int) -> None:
    if takes != width:
        raise CheckpointError(
            f"{folder} of {checkpoint.source!r} takes vectors of {takes} dimensions, and what comes before it gives "
            f"{width}. Is pooling_method= (or modules=) that of another model?"
        )


def _activation(source: str, name: str) -> nn.Module:
    module, _, kind = name.rpartition(".")
    if module not in _MODULES or kind not in _ACTIVATIONS:
        raise CheckpointError(
            f"{source!r} has the activation {name!r}, which is not one of torch.nn's that are known here and is not "
            f"imported; its vectors would be wrong without it. Known: {', '.join(sorted(_ACTIVATIONS))}."
        )
    return _ACTIVATIONS[kind]()


def _filled(checkpoint: Checkpoint, folder: str, make: Callable[[str], nn.Module]) -> nn.Module:
    """Return a layer with its weights, every one of them."""
    source = f"{checkpoint.source}/{folder}"
    # The sketch takes no memory, and no random numbers from the caller's generator.
    with explained(folder, checkpoint.source), torch.device("meta"):
        layer = make(source)
    weights, wanted = read_weights(checkpoint, folder), layer.state_dict()
    both = wanted.keys() & weights.keys()
    shapes = [(name, weights[name].shape, wanted[name].shape) for name in both]
    require_complete(
        source,
        {
            "missing_keys": wanted.keys() - weights.keys(),
            "unexpected_keys": weights.keys() - wanted.keys(),
            "mismatched_keys": [shape for shape in shapes if shape[1] != shape[2]],
            "error_msgs": [],
        },
    )
    layer.load_state_dict(weights, assign=True)
    return layer.float().eval().requires_grad_(requires_grad=False)
