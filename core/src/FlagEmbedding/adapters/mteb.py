"""mteb: embedders and rerankers as models that ``mteb.evaluate`` takes.

Needs ``pip install 'flagembedding-core[mteb]'``. See docs/adapters.md.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from FlagEmbedding.adapters._extras import extra
from FlagEmbedding.adapters._models import Name, dense, is_name, load_embedder, load_reranker, name_of, settings
from FlagEmbedding.adapters._mteb_meta import model_meta
from FlagEmbedding.errors import OptionError

with extra("mteb", "mteb"):
    from mteb.models.abs_encoder import AbsEncoder
    from mteb.models.model_meta import ScoringFunction
    from mteb.types import PromptType

if TYPE_CHECKING:
    from mteb.abstasks.task_metadata import TaskMetadata
    from mteb.types import BatchedInput
    from torch.utils.data import DataLoader

    from FlagEmbedding import AbsEmbedder, AbsReranker

__all__ = ["FlagCrossEncoder", "FlagEncoder"]

# Pairs whose texts are held at a time; the reranker sorts them by length.
_BLOCK = 16384


class FlagEncoder(AbsEncoder):
    """An embedder as mteb's ``EncoderProtocol``.

    Queries go through ``encode_queries`` and documents through ``encode_corpus``, with the model's instructions; texts
    of tasks that know no such difference (clustering, similarity, ...) through ``encode``.

    Args:
        model: A registered name, a hub id, a local folder, or an embedder.
        revision: Branch, tag or commit on the hub.
        device: A device as torch spells it.
        model_prompts: Put before the texts as they are, in place of the model's instruction: by task name, task type,
            ``"query"``, ``"document"``, or ``"NAME-query"``, chosen by mteb's rules.
        embed_dim: The same as the option ``truncate_dim``, as mteb spells it.
        **options: Keyword arguments of ``FlagAutoModel.from_finetuned``; none with an embedder.

    Attributes:
        model: The embedder.
        mteb_model_meta: Under which name results are kept. What differs from the model's own settings is in its
            ``experiment_kwargs``, so that mteb's cache of results keeps them apart.

    Raises:
        OptionError: An option is unknown, or given with an embedder; a key of ``model_prompts`` means nothing to mteb.
        ValueError: The name leads to no embedder.
        RuntimeError: A device is not present, or a known model could not be fetched.
    """

    model: AbsEmbedder

    def __init__(
        self,
        model: Name | AbsEmbedder,
        revision: str | None = None,
        *,
        device: str | None = None,
        model_prompts: Mapping[str, str] | None = None,
        embed_dim: int | None = None,
        **options: Any,
    ) -> None:
        told = {**options, **_given(revision=revision, device=device, truncate_dim=embed_dim)}
        self.model_prompts = _checked_prompts(model_prompts)
        self.model = load_embedder(model, told)
        similarity = ScoringFunction.COSINE if self.model.normalize_embeddings else ScoringFunction.DOT_PRODUCT
        experiment = {**(told if is_name(model) else settings(self.model)), **_given(model_prompts=self.model_prompts)}
        self.mteb_model_meta = model_meta(
            type(self),
            name_of(model),
            self.model,
            experiment,
            similarity_fn_name=similarity,
            embed_dim=self.model.truncate_dim or getattr(self.model, "dimension", None),
            max_tokens=self.model.passage_max_length,
            use_instructions=bool(self.model.query_instruction_for_retrieval or self.model_prompts),
        )

    def encode(
        self,
        inputs: DataLoader[BatchedInput],
        *,
        task_metadata: TaskMetadata,
        hf_split: str,  # noqa: ARG002 - of the protocol
        hf_subset: str,  # noqa: ARG002
        prompt_type: PromptType | None = None,
        **kwargs: Any,
    ) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the vectors of a task's texts.

        Args:
            inputs: Batches with their texts under ``"text"``.
            task_metadata: Says which of ``model_prompts`` counts.
            hf_split: Not used.
            hf_subset: Not used.
            prompt_type: Queries, documents, or None.
            **kwargs: Options of ``encode``: ``batch_size``, ``show_progress_bar``, ...

        Returns:
            float32 ``[texts, dimension]``, in order.

        Raises:
            OptionError: An option is unknown; another ``precision`` than float32.
        """
        texts = [text for batch in inputs for text in batch["text"]]
        options = {**_without_precision(kwargs), "convert_to_numpy": True}
        name = self.get_prompt_name(task_metadata, prompt_type)
        length = self.model.query_max_length if prompt_type == PromptType.query else self.model.passage_max_length
        if name is not None and self.model_prompts is not None:
            vectors = self.model.encode(texts, max_length=length, instruction=self.model_prompts[name], **options)
        elif prompt_type == PromptType.query:
            vectors = self.model.encode_queries(texts, **options)
        elif prompt_type == PromptType.document:
            vectors = self.model.encode_corpus(texts, **options)
        else:
            vectors = self.model.encode(texts, **options)
        return np.asarray(dense(vectors))


class FlagCrossEncoder:
    """A reranker as mteb's ``CrossEncoderProtocol``.

    Args:
        model: A registered name, a hub id, a local folder, or a reranker.
        revision: Branch, tag or commit on the hub.
        device: A device as torch spells it.
        **options: Keyword arguments of ``FlagAutoReranker.from_finetuned``; none with a reranker.

    Attributes:
        model: The reranker.
        mteb_model_meta: As for :class:`FlagEncoder`.

    Raises:
        OptionError: An option is unknown, or given with a reranker.
        ValueError: The name leads to no reranker.
        RuntimeError: A device is not present, or a known model could not be fetched.
    """

    def __init__(
        self, model: Name | AbsReranker, revision: str | None = None, *, device: str | None = None, **options: Any
    ) -> None:
        told = {**options, **_given(revision=revision, device=device)}
        self.model = load_reranker(model, told)
        experiment = told if is_name(model) else settings(self.model)
        self.mteb_model_meta = model_meta(
            type(self),
            name_of(model),
            self.model,
            experiment,
            model_type=["cross-encoder"],
            max_tokens=self.model.max_length,
            use_instructions=bool(self.model.query_instruction_for_rerank),
        )

    def predict(
        self,
        inputs1: DataLoader[BatchedInput],
        inputs2: DataLoader[BatchedInput],
        *,
        task_metadata: TaskMetadata,  # noqa: ARG002 - of the protocol
        hf_split: str,  # noqa: ARG002
        hf_subset: str,  # noqa: ARG002
        prompt_type: PromptType | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> np.ndarray[Any, np.dtype[np.float64]]:
        """Return the scores of pairs.

        Args:
            inputs1: Batches of queries, their texts under ``"text"``.
            inputs2: Batches of documents, as many.
            task_metadata: Not used.
            hf_split: Not used.
            hf_subset: Not used.
            prompt_type: Not used.
            **kwargs: Options of ``compute_score``: ``batch_size``, ``show_progress_bar``, ...

        Returns:
            float64 ``[pairs]``, in order; higher is more relevant.

        Raises:
            OptionError: An option is unknown, or the scores of several layers are asked for.
            ValueError: There are more queries than documents, or fewer.
        """
        pairs = zip(_texts(inputs1), _texts(inputs2), strict=True)
        options = _without_precision(kwargs)
        scores: list[float] = []
        while block := list(itertools.islice(pairs, _BLOCK)):
            scores += self.model.compute_score(block, **options)
        found = np.asarray(scores, dtype=np.float64)
        if found.ndim != 1:
            raise OptionError("mteb needs one score a pair, and several layers were asked for: name one.")
        return found


def _texts(inputs: DataLoader[BatchedInput]) -> Iterator[str]:
    return (text for batch in inputs for text in batch["text"])


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}


def _without_precision(options: Mapping[str, Any]) -> dict[str, Any]:
    precision = options.get("precision", "float32")
    if precision not in (None, "float32"):
        raise OptionError(
            f"vectors are float32, not {precision!r}: mteb's CompressionWrapper makes other kinds of them."
        )
    return {name: value for name, value in options.items() if name != "precision"}


def _checked_prompts(prompts: Mapping[str, str] | None) -> dict[str, str] | None:
    try:
        checked: dict[str, str] | None = AbsEncoder.validate_task_to_prompt_name(dict(prompts or {}))
    except KeyError as error:
        raise OptionError(f"model_prompts: {error}") from error
    return checked
