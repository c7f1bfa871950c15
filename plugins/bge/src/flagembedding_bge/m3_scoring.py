"""What an M3 model does with outputs that it gave: comparing, naming and exporting them."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from FlagEmbedding.abc.inference.options import check_count
from FlagEmbedding.engine.pairs import as_pairs
from FlagEmbedding.spelling import reject_unknown_options
from flagembedding_bge import m3_pairs, m3_scores
from flagembedding_bge.m3_encoding import M3Encoding

_PROGRESS_OPTIONS = ("show_progress", "show_progress_bar")
_SCORE_OPTIONS = ("batch_size", "max_query_length", "max_passage_length", "weights_for_different_modes")


class M3Scoring(M3Encoding):
    """The scores of an M3 model; what is neither text nor an output of the model is an ``InputError``."""

    def compute_score(
        self,
        sentence_pairs: Any,
        batch_size: int | None = None,
        max_query_length: int | None = None,
        max_passage_length: int | None = None,
        weights_for_different_modes: Sequence[float] | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        """Score queries against passages, in each mode and in combinations of them.

        Each different text is encoded once, without instructions, as :meth:`encode` would.

        Args:
            sentence_pairs: A pair (query, passage), or a list of pairs.
            batch_size: At most so many texts in one forward; None means the model's setting, as for what follows.
            max_query_length: Tokens of a query that count (``query_max_length``).
            max_passage_length: Tokens of a passage that count (``passage_max_length``).
            weights_for_different_modes: Of dense, sparse and ColBERT in the combinations, which are divided by the
                sum of the weights that take part (and 0.0 if these are all 0); None means equal ones.
            **kwargs: ``show_progress`` (also ``show_progress_bar``).

        Returns:
            Scores under ``"colbert"``, ``"sparse"``, ``"dense"``, ``"sparse+dense"`` and ``"colbert+sparse+dense"``:
            a float for one pair, a list of floats, in order, for a list.

        Raises:
            InputError: Something is no pair of two strings.
            OptionError: An option is unknown or out of range.
            CheckpointError: The checkpoint has not both heads.
        """
        known = (*_PROGRESS_OPTIONS, *_SCORE_OPTIONS)
        reject_unknown_options({k: v for k, v in kwargs.items() if k not in known}, known, "compute_score")
        weights = m3_pairs.mode_weights(weights_for_different_modes)
        pairs, single = as_pairs(sentence_pairs)
        run = functools.partial(
            self._spread,
            "encode_single_device",
            batch_size=check_count(batch_size, "batch_size") or self.batch_size,
            convert_to_numpy=True,
            return_dense=True,
            return_sparse=True,
            return_colbert_vecs=True,
            **kwargs,
        )
        lengths = (
            check_count(max_query_length, "max_query_length") or self.query_max_length,
            check_count(max_passage_length, "max_passage_length") or self.passage_max_length,
        )
        encode_queries, encode_passages = (functools.partial(run, max_length=length) for length in lengths)
        scores = m3_pairs.score_pairs(pairs, encode_queries, encode_passages, weights)
        return {mode: values[0] for mode, values in scores.items()} if single else scores

    def compute_lexical_matching_score(self, lexical_weights_1: Any, lexical_weights_2: Any) -> float | Any:
        """Return the sum, over the tokens of both texts, of the product of their weights.

        Args:
            lexical_weights_1: The ``lexical_weights`` of one text, or of several.
            lexical_weights_2: Likewise; a dict with a dict, a list with a list.

        Returns:
            A float for two dicts; float64 ``[len(lexical_weights_1), len(lexical_weights_2)]`` for two lists.
        """
        return m3_scores.lexical_matching_score(lexical_weights_1, lexical_weights_2)

    def colbert_score(self, q_reps: Any, p_reps: Any) -> Tensor:
        """Return MaxSim: the mean, over the query's tokens, of the best product with a token of the passage.

        Source: M3-Embedding, arXiv 2402.03216, equation of the multi-vector score.

        Args:
            q_reps: ``colbert_vecs`` of a query, float32 ``[tokens, width]``, numpy or torch.
            p_reps: ``colbert_vecs`` of a passage, likewise.

        Returns:
            A float32 scalar.

        Raises:
            InputError: They are no such matrices, or not of one width.
        """
        return m3_scores.colbert_score(q_reps, p_reps)

    def colbert_scores(self, query_vecs: Any, passage_vecs: Iterable[Any]) -> np.ndarray[Any, np.dtype[np.float32]]:
        """Return the :meth:`colbert_score` of one query with each passage.

        Args:
            query_vecs: ``colbert_vecs`` of the query, float32 ``[tokens, width]``, numpy or torch.
            passage_vecs: Those of any number of passages.

        Returns:
            float32 ``[passages]``, in order.

        Raises:
            InputError: They are no such matrices, or not of one width.
        """
        return m3_scores.colbert_scores(query_vecs, passage_vecs)

    def convert_id_to_token(self, lexical_weights: Any) -> Any:
        """Return lexical weights keyed by the tokens' text instead of their ids.

        Of tokens that read alike (``"▁the"`` and ``"the"``) the larger weight is kept.

        Args:
            lexical_weights: A dict, or a list of them.

        Returns:
            A dict for a dict, a list for a list, also for a list of one.
        """
        items, single = m3_scores.each(lexical_weights)
        named = [m3_scores.tokens_of(item, self.tokenizer) for item in items]
        return named[0] if single else named

    def sparse_arrays(self, lexical_weights: Any) -> Any:
        """Return lexical weights as vector databases take them.

        Args:
            lexical_weights: A dict, or a list of them.

        Returns:
            ``{"indices": int64 [tokens], "values": float32 [tokens]}`` by rising index, for a dict; a list of these
            for a list.
        """
        items, single = m3_scores.each(lexical_weights)
        arrays = [m3_scores.sparse_array(item) for item in items]
        return arrays[0] if single else arrays
