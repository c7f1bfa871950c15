"""A model that scores pairs: what classifiers and language models have in common. No loop over batches."""

from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from FlagEmbedding.abc.inference import AbsReranker
from FlagEmbedding.abc.inference.options import check_count
from FlagEmbedding.engine.forward import Forward
from FlagEmbedding.engine.outputs import ScoreSink, check_finite
from FlagEmbedding.engine.pair_tokens import PairIds
from FlagEmbedding.engine.pairs import Pair
from FlagEmbedding.engine.runner import Engine
from FlagEmbedding.engine.tokenizing import Tokens
from FlagEmbedding.inference.loaded import LoadedModel
from FlagEmbedding.sources import is_file
from FlagEmbedding.spelling import reject_unknown_options

_PROGRESS_OPTIONS = ("show_progress", "show_progress_bar")
_SCORE_OPTIONS = ("batch_size", "max_length", "normalize", "query_max_length")


def _as_it_is(scores: Tensor) -> Tensor:
    return scores


@dataclass(frozen=True)
class Scoring:
    """What one call runs.

    Attributes:
        tokenize: From pairs and the tokens of one that count to rows of token ids.
        forward: From the rows of a batch to what ``head`` reads.
        head: From that to float32 ``[rows, lists]``; by default the forward gives it.
        lists: How many lists of scores the call gives; None: one, as a plain list.
    """

    tokenize: Callable[[Sequence[Pair], int], Tokens[PairIds]]
    forward: Forward[PairIds, Any]
    head: Callable[[Any], Tensor] = _as_it_is
    lists: int | None = None


class PairReranker(LoadedModel, AbsReranker):
    """Scores pairs with a transformers model.

    A class says in ``_scoring`` how pairs become rows of ids and rows become scores; loading, options, batches and
    the sigmoid are here.

    Args:
        model_name_or_path: A local folder or a hub id.
        trust_remote_code: Whether Python code of the checkpoint may run.
        cache_dir: Where the hub's files are kept.
        revision: Branch, tag or commit on the hub.
        token: Access token of the hub.
        local_files_only: Never ask the hub.
        attn_implementation: transformers' attention (``"sdpa"``, ``"eager"``, ...); None means its own choice.
        **kwargs: As for :class:`~FlagEmbedding.abc.inference.AbsReranker`.

    Raises:
        CheckpointError: Files are missing, damaged, or do not fit together.
    """

    def __init__(
        self,
        model_name_or_path: str,
        *,
        trust_remote_code: bool = False,
        cache_dir: str | None = None,
        revision: str | None = None,
        token: str | None = None,
        local_files_only: bool = False,
        attn_implementation: str | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(model_name_or_path, **kwargs)
        self._load(
            trust_remote_code=trust_remote_code,
            attn_implementation=attn_implementation,
            cache_dir=cache_dir,
            revision=revision,
            token=token,
            local_files_only=local_files_only,
        )

    def compute_score_single_gpu(
        self,
        sentence_pairs: list[Pair],
        batch_size: int | None = None,
        query_max_length: int | None = None,
        max_length: int | None = None,
        normalize: bool | None = None,
        device: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Score ready-made pairs on one device.

        Args:
            sentence_pairs: The pairs, instructions included.
            batch_size: At most so many pairs in one forward.
            query_max_length: Tokens of a query that count.
            max_length: Tokens of a pair that count; never more than the model has positions for.
            normalize: Whether scores go through the sigmoid.
            device: As torch spells it; the model moves there if it is elsewhere.
            **kwargs: ``show_progress`` (True, False, or None for "on a terminal, if it takes long"; also
                ``show_progress_bar``), and the options of the class.

        Returns:
            A float a pair, in order.

        Raises:
            OptionError: An option is unknown or out of range.
        """
        self._move_to(device or self.target_devices[0])
        progress = [kwargs.pop(name) for name in _PROGRESS_OPTIONS if name in kwargs]
        reject_unknown_options(self._unknown(kwargs), self._known(), "compute_score")
        length = self._token_limit(check_count(max_length, "max_length") or self.max_length)
        query_length = check_count(query_max_length, "query_max_length") or self.query_max_length
        scoring = self._scoring(query_length, **kwargs)
        pairs = [(query, passage) for query, passage in sentence_pairs]  # programs call this with lists of lists too
        sink = ScoreSink(len(pairs), scoring.lists or 1)
        engine: Engine[Pair, PairIds, Any] = Engine(scoring.tokenize, scoring.forward, self._room, ("scoring", "pairs"))
        engine.run(
            pairs,
            scoring.head,
            sink,
            max_length=length,
            batch_size=check_count(batch_size, "batch_size") or self.batch_size,
            show_progress=progress[0] if progress else None,
        )
        check_finite(sink.scores, "scores", str(self.model_name_or_path), self._dtype)
        scores = _listed(sink.scores, self.normalize if normalize is None else normalize)
        return scores[0] if scoring.lists is None else scores

    @abstractmethod
    def _scoring(self, query_max_length: int | None, *args: Any, **kwargs: Any) -> Scoring:
        """Return what a call runs.

        Args:
            query_max_length: Tokens of a query that count; None: as the class finds right.
            *args: None; a class takes its options by keyword.
            **kwargs: The options of the class; their names are read from the signature.
        """

    def _activation_path(self) -> str | None:
        config, files = self._config, self._checkpoint
        own = getattr(config, "sentence_transformers", None)
        modular = is_file(files.folder / "modules.json")
        saved = files.settings("config_sentence_transformers.json") if modular else {}
        named = (
            saved.get("activation_fn"),  # version 5 and later
            own.get("activation_fn") if isinstance(own, Mapping) else None,
            getattr(config, "sbert_ce_default_activation_function", None),  # before version 4
        )
        return next((path for path in named if isinstance(path, str)), None)

    def _known(self) -> list[str]:
        own = [name for name, parameter in inspect.signature(self._scoring).parameters.items() if _is_option(parameter)]
        return [*own, *_SCORE_OPTIONS, *_PROGRESS_OPTIONS]

    def _unknown(self, options: dict[str, Any]) -> dict[str, Any]:
        known = self._known()
        return {name: value for name, value in options.items() if name not in known}


def _is_option(parameter: inspect.Parameter) -> bool:
    return parameter.kind is inspect.Parameter.KEYWORD_ONLY


def _listed(scores: Tensor, normalize: bool) -> list[list[float]]:
    """Return float32 ``[pairs, lists]`` as one list of floats for each of the lists."""
    values = torch.sigmoid(scores.double()) if normalize else scores
    listed: list[list[float]] = values.T.tolist()
    return listed
