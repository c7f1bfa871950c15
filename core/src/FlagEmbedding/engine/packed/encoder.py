"""A lean encoder: BERT's kind of stack as a short list of steps, taken from a loaded model's own modules.

Most of the time of one short text goes into everything around the arithmetic. A stack that is known to be "attention,
add, norm, linear, GELU, linear, add, norm" needs none of it, can join what follows a product with the product, and can
leave out the tokens nobody reads. The names of BERT's modules are how such a stack is recognised (BERT, RoBERTa,
XLM-RoBERTa, CamemBERT, ELECTRA ... share them; MPNet has its own); the check at load decides whether it is one.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.nn import functional

from FlagEmbedding.engine.packed.attention import NotPackableError, attend, attend_rows
from FlagEmbedding.engine.packed.bare import BareEncoder
from FlagEmbedding.engine.packed.layout import Layout, Wanted
from FlagEmbedding.engine.packed.linears import Activation, Linear, PrepackedLinear, best_linear

LinearMaker: TypeAlias = Callable[[Tensor, Tensor | None, Activation], Linear]


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over the last dimension."""

    weight: Tensor
    bias: Tensor
    epsilon: float

    def __call__(self, rows: Tensor) -> Tensor:
        """Return ``rows``, normalised."""
        return functional.layer_norm(rows, (rows.shape[-1],), self.weight, self.bias, self.epsilon)


@dataclass(frozen=True)
class Layer:
    """One layer. ``joint`` gives queries, keys and values; the last layer has ``query`` and ``rest`` in its place."""

    joint: Linear | None
    query: Linear | None
    rest: Linear | None
    out: Linear
    attention_norm: Norm
    up: Linear
    down: Linear
    norm: Norm

    @property
    def linears(self) -> list[Linear]:
        """All that it has."""
        every = (self.joint, self.query, self.rest, self.out, self.up, self.down)
        return [linear for linear in every if linear is not None]

    def finish(self, mixed: Tensor, rows: Tensor) -> Tensor:
        """Return what the layer makes of ``[n, width]`` attended values and the rows that went in."""
        rows = self.attention_norm(self.out(mixed, rows))
        return self.norm(self.down(self.up(rows), rows))


class LeanEncoder:
    """The steps of a post-norm encoder.

    Args:
        model: A loaded backbone in evaluation mode. Its weights are shared where a linear is plain, and copied where
            several are joined or a linear has another form of them; who drops the model frees the originals.
        make: Makes each linear; by default the fastest on this machine.

    Raises:
        NotPackableError: The model's modules are not those of such a stack.
    """

    def __init__(self, model: Any, make: LinearMaker = best_linear) -> None:
        try:
            self._build(model, make)
        except AttributeError as error:
            raise NotPackableError(f"{type(model).__name__} is not a stack of BERT's layers ({error})") from error

    def _build(self, model: Any, make: LinearMaker) -> None:
        tables = model.embeddings
        self._words: Tensor = tables.word_embeddings.weight
        self._places: Tensor = tables.position_embeddings.weight
        kinds = getattr(tables, "token_type_embeddings", None)
        self._kinds: Tensor | None = kinds.weight if kinds is not None else None
        # Nearly every text is of type 0 throughout: then one table does for both.
        self._typed_places = self._places + self._kinds[0] if self._kinds is not None else self._places
        self._norm = _norm(tables.LayerNorm)
        self._heads: int = model.config.num_attention_heads
        layers, count = _stack(model)
        self._layers = [_layer(layer, make, last=number == count) for number, layer in enumerate(layers, 1)]
        self.dtype = self._words.dtype
        linears = [linear for layer in self._layers for linear in layer.linears]
        self._packed = sum(isinstance(linear, PrepackedLinear) for linear in linears)
        self.uses_onednn = self._words.device.type == "cpu" and (self._packed > 0 or self.dtype != torch.float32)
        self._position_bias = _position_bias(model)

    def __str__(self) -> str:
        linears = f", {self._packed} prepacked linears" if self._packed else ""
        return f"lean packed encoder of {len(self._layers)} layers{linears}"

    def __call__(
        self, ids: Tensor, positions: Tensor, types: Tensor | None, layout: Layout, wanted: Wanted = "all"
    ) -> Tensor:
        """Return ``[tokens, width]``, or ``[texts, width]`` of the first or last tokens as the layout has the texts."""
        rows = self._embed(ids, positions, types)
        bias = self._bias(rows, layout)
        for layer in self._layers[:-1]:
            assert layer.joint is not None
            query, key, value = self._split(layer.joint(rows), 3)
            rows = layer.finish(attend(query, key, value, layout, bias=bias).flatten(1), rows)
        return self._last(self._layers[-1], rows, layout, bias, wanted)

    def _last(self, layer: Layer, rows: Tensor, layout: Layout, bias: Tensor | None, wanted: Wanted) -> Tensor:
        """Compute the last layer: keys and values of all tokens, the rest of those that are wanted."""
        assert layer.query is not None
        assert layer.rest is not None
        key, value = self._split(layer.rest(rows), 2)
        needed = layout.rows(wanted)
        if needed is not None:
            rows = rows[needed]
        (query,) = self._split(layer.query(rows), 1)
        if wanted == "all":
            mixed = attend(query, key, value, layout, bias=bias)
        else:
            mixed = attend_rows(query, key, value, layout, bias, at_end=wanted == "last")
        return layer.finish(mixed.flatten(1), rows)

    def _embed(self, ids: Tensor, positions: Tensor, types: Tensor | None) -> Tensor:
        rows = functional.embedding(ids, self._words)
        if types is None or self._kinds is None:
            return self._norm(rows.add_(functional.embedding(positions, self._typed_places)))
        rows.add_(functional.embedding(types, self._kinds)).add_(functional.embedding(positions, self._places))
        return self._norm(rows)

    def _bias(self, rows: Tensor, layout: Layout) -> Tensor | None:
        """Return MPNet's bias of the scores, ``[1, heads, longest, longest]``: it depends on the distance alone."""
        return None if self._position_bias is None else self._position_bias(rows[: layout.longest].unsqueeze(0))

    def _split(self, joint: Tensor, parts: int) -> tuple[Tensor, ...]:
        """Return ``parts`` tensors ``[tokens, heads, head width]``."""
        return joint.view(len(joint), parts, self._heads, -1).unbind(1)


def _stack(model: Any) -> tuple[Iterable[Any], int]:
    """Return the layers, and how many they are."""
    if isinstance(model, BareEncoder):
        return model.layers(), model.config.num_hidden_layers
    return model.encoder.layer, len(model.encoder.layer)


def _position_bias(model: Any) -> Callable[[Tensor], Tensor] | None:
    """Return MPNet's, which its encoder computes."""
    if not hasattr(getattr(model, "encoder", None), "compute_position_bias"):
        return None
    without_layers = copy.copy(model.encoder)  # the layers' own weights need not live on in a bound method
    without_layers._modules = {**model.encoder._modules, "layer": None}  # noqa: SLF001
    compute: Callable[[Tensor], Tensor] = without_layers.compute_position_bias
    return compute


def _norm(module: Any) -> Norm:
    return Norm(module.weight, module.bias, module.eps)


def _layer(layer: Any, make: LinearMaker, *, last: bool) -> Layer:
    query, key, value, out, norm = _attention(layer)
    activation = layer.intermediate.intermediate_act_fn
    if not isinstance(activation, nn.GELU) and type(activation).__name__ != "GELUActivation":
        raise NotPackableError(f"its activation is {type(activation).__name__}, and no exact GELU")
    return Layer(
        joint=None if last else _joined(make, query, key, value),
        query=_joined(make, query) if last else None,
        rest=_joined(make, key, value) if last else None,
        out=_joined(make, out),
        attention_norm=_norm(norm),
        up=_joined(make, layer.intermediate.dense, activation="gelu"),
        down=_joined(make, layer.output.dense),
        norm=_norm(layer.output.LayerNorm),
    )


def _attention(layer: Any) -> tuple[Any, Any, Any, Any, Any]:
    """Return queries', keys', values' and output's linear, and the norm behind."""
    attention = layer.attention
    if hasattr(attention, "attn"):  # MPNet's names
        own = attention.attn
        return own.q, own.k, own.v, own.o, attention.LayerNorm
    own, output = getattr(attention, "self"), attention.output  # noqa: B009 -- a name that reads as something else
    return own.query, own.key, own.value, output.dense, output.LayerNorm


def _joined(make: LinearMaker, *linears: nn.Linear, activation: Activation = "none") -> Linear:
    """Return the linears of one input as one."""
    if len(linears) == 1:
        return make(linears[0].weight.detach(), linears[0].bias.detach(), activation)
    weight = torch.cat([linear.weight.detach() for linear in linears])
    return make(weight, torch.cat([linear.bias.detach() for linear in linears]), activation)
