"""The methods that programs know from a ``CrossEncoder``, on every reranker."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from FlagEmbedding.abc.inference.dialect import translate, with_progress
from FlagEmbedding.engine.pairs import as_pairs
from FlagEmbedding.errors import OptionError

# The functions that a checkpoint may name as its own; any other one is said by the caller.
_KNOWN: Mapping[str, Callable[[Tensor], Tensor]] = {"Identity": lambda scores: scores, "Sigmoid": torch.sigmoid}
_MODULES = ("torch.nn", "torch.nn.modules.linear", "torch.nn.modules.activation")


class AsCrossEncoder:
    """What :class:`~FlagEmbedding.abc.inference.AbsReranker` has under sentence-transformers' names."""

    compute_score: Callable[..., Any]
    compute_score_single_gpu: Callable[..., Any]

    def predict(
        self,
        inputs: Any,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = None,
        activation_fn: Callable[[Tensor], Tensor] | None = None,
        apply_softmax: bool | None = False,  # noqa: ARG002 - over one label it changes nothing, there as here
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Score pairs as a ``CrossEncoder`` does: with the sigmoid, or what files or caller name instead.

        Args:
            inputs: One pair (query, passage), or any number of them.
            prompt_name: None; what goes before a query is ``query_instruction_for_rerank``.
            prompt: Likewise.
            batch_size: At most so many pairs in one forward; None means the model's setting.
            show_progress_bar: Whether to show one; None: where the logger ``FlagEmbedding`` is at INFO or DEBUG, and
                on a terminal if it takes long.
            activation_fn: From raw scores, float32 ``[pairs]``, to those that are returned; None means that of the
                model's files, and the sigmoid where they name none.
            apply_softmax: Over the labels of a pair; a reranker has one, so that it changes nothing.
            convert_to_numpy: numpy; else a list of tensors.
            convert_to_tensor: One torch tensor.
            **kwargs: ``device`` (``pool`` and ``chunk_size`` may say nothing but None), and the options of
                :meth:`compute_score`.

        Returns:
            float32 ``[pairs]``, in order; a number of that type for one pair.

        Raises:
            InputError: Something is no pair of two strings.
            OptionError: An option is unknown, out of range, or asks for what is not done here; several layers.
        """
        _refuse_prompts(prompt_name, prompt)
        pairs, single = as_pairs(inputs)
        options = {"batch_size": batch_size, "show_progress_bar": show_progress_bar, **kwargs}
        activate = activation_fn or self._own_activation()
        scores = activate(torch.tensor(self._raw_scores(pairs, options), dtype=torch.float32))
        rows: Any = scores if convert_to_tensor else scores.numpy() if convert_to_numpy else list(scores)
        return rows[0] if single else rows

    def _raw_scores(self, pairs: Any, options: Mapping[str, Any]) -> Any:
        said = {name: value for name, value in options.items() if value is not None}
        translate(said)
        said = with_progress(said, self.compute_score_single_gpu)
        return one_score_a_pair(self.compute_score(pairs, **{**said, "normalize": False}), "predict()")

    def _own_activation(self) -> Callable[[Tensor], Tensor]:
        path = self._activation_path()
        if path is None:
            return torch.sigmoid
        module, _, kind = path.rpartition(".")
        if module not in _MODULES or kind not in _KNOWN:
            raise OptionError(
                f"the model's files name {path!r} as what its scores go through, which is not imported. Known are "
                f"{' and '.join(_KNOWN)}; say activation_fn=."
            )
        return _KNOWN[kind]

    def _activation_path(self) -> str | None:
        """Return the function that the model's files name for its scores (``"torch.nn.modules.linear.Identity"``)."""
        return None


def one_score_a_pair(scores: Any, method: str) -> Any:
    """Return ``scores``.

    Raises:
        OptionError: They are those of several layers.
    """
    if any(isinstance(score, list) for score in scores):
        raise OptionError(f"{method} needs one score a pair, and several layers were asked for: name one.")
    return scores


def _refuse_prompts(prompt_name: str | None, prompt: str | None) -> None:
    if prompt_name is not None or prompt is not None:
        raise OptionError(
            "prompt= and prompt_name= of a CrossEncoder are not taken here. What goes before a query is "
            "query_instruction_for_rerank=, when the model is loaded."
        )
