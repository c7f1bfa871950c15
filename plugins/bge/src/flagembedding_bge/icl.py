"""In-context-learning embedders: queries carry a few worked examples of the task (bge-en-icl, arXiv 2409.15700)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from FlagEmbedding.abc.inference.embedder import Texts
from FlagEmbedding.abc.inference.instructions import with_instruction
from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.pooling import PoolingFunction
from FlagEmbedding.engine.runner import Engine
from FlagEmbedding.engine.running import computes_beginnings_once
from FlagEmbedding.errors import OptionError
from FlagEmbedding.inference.embedder.decoder_only.base import BaseLLMEmbedder
from FlagEmbedding.inference.embedder.dense import TextEngine
from flagembedding_bge.icl_examples import Examples, check_examples_format, few_shot_prefix
from flagembedding_bge.icl_tokens import QueryTokenizer


class ICLLLMEmbedder(BaseLLMEmbedder):
    r"""A decoder whose queries follow a few worked examples and end in a suffix; ``FlagICLModel`` is its public name.

    A query is sent as ``examples + "<instruct>...\n<query>..." + "\n<response>"``, a passage as it is. The examples'
    keys and values are computed once. :meth:`encode` takes its texts for passages; :meth:`encode_queries` does not.

    The arguments that are not listed are those of
    :class:`~FlagEmbedding.inference.embedder.decoder_only.base.BaseLLMEmbedder`.

    Args:
        query_instruction_format: Two ``{}``: instruction, then query.
        suffix: What a query ends in, before the end-of-sequence token.
        examples_for_task: Examples of the task, each a dict with the keys ``instruct``, ``query`` and ``response``;
            a missing ``instruct`` means ``query_instruction_for_retrieval``.
        examples_instruction_format: Three ``{}``: instruction, query, response.
        query_max_length: Tokens of a query that count, with its instruction, the suffix and the special tokens. The
            examples come on top of it. Longer queries lose their end, and nothing else.
        pooling_method: ``"last_token"``, the only one that these models know.

    Raises:
        OptionError: An example is not as it must be; another pooling is asked for.
        ConfigError: A format has not as many ``{}`` as it must.
    """

    set_up_anew = (*BaseLLMEmbedder.set_up_anew, "_query_engine")

    def __init__(
        self,
        model_name_or_path: str,
        normalize_embeddings: bool = True,
        use_fp16: bool = True,
        use_bf16: bool = False,
        query_instruction_for_retrieval: str | None = None,
        query_instruction_format: str = "<instruct>{}\n<query>{}",
        suffix: str = "\n<response>",
        devices: DeviceLike | Iterable[DeviceLike] | None = None,
        examples_for_task: Examples | None = None,
        examples_instruction_format: str = "<instruct>{}\n<query>{}\n<response>{}",
        trust_remote_code: bool = False,
        cache_dir: str | None = None,
        batch_size: int = 256,
        query_max_length: int | None = None,
        passage_max_length: int | None = None,
        convert_to_numpy: bool = True,
        truncate_dim: int | None = None,
        *,
        pooling_method: str | PoolingFunction = "last_token",
        **kwargs: Any,
    ) -> None:
        if pooling_method != "last_token":
            raise OptionError(f"pooling_method must be 'last_token' for this class, not {pooling_method!r}.")
        if not isinstance(suffix, str):
            raise OptionError(f"suffix must be a string, not {suffix!r}.")
        self.suffix = suffix
        self.examples_instruction_format = check_examples_format(examples_instruction_format)
        self.query_instruction_for_retrieval = query_instruction_for_retrieval
        self.set_examples(examples_for_task)  # before the weights are read: a faulty example shows at once
        super().__init__(
            model_name_or_path,
            normalize_embeddings=normalize_embeddings,
            use_fp16=use_fp16,
            use_bf16=use_bf16,
            query_instruction_for_retrieval=query_instruction_for_retrieval,
            query_instruction_format=query_instruction_format,
            devices=devices,
            trust_remote_code=trust_remote_code,
            cache_dir=cache_dir,
            batch_size=batch_size,
            query_max_length=query_max_length,
            passage_max_length=passage_max_length,
            convert_to_numpy=convert_to_numpy,
            truncate_dim=truncate_dim,
            pooling_method=pooling_method,
            **kwargs,
        )

    def set_examples(self, examples_for_task: Examples | None = None) -> None:
        """Put these examples before every query from now on.

        Args:
            examples_for_task: As for the constructor; None or an empty list: none.

        Raises:
            OptionError: An example is not as it must be. The examples stay as they were.
            InputError: A text of one is no valid Unicode. Likewise.
        """
        self.prefix = few_shot_prefix(
            examples_for_task, self.examples_instruction_format, self.query_instruction_for_retrieval
        )
        self.examples_for_task = examples_for_task
        self._query_engine: tuple[str, TextEngine] | None = None

    @staticmethod
    def get_detailed_example(instruction_format: str, instruction: str, query: str, response: str) -> str:
        """Return one example as it is put before a query.

        Args:
            instruction_format: Three ``{}``: instruction, query, response.
            instruction: What the task is.
            query: A query of the task.
            response: What answers it.

        Returns:
            The three through the format.

        Raises:
            ConfigError: The format has not three ``{}``.
        """
        return check_examples_format(instruction_format).format(instruction, query, response)

    def encode_queries(
        self,
        queries: Texts,
        batch_size: int | None = None,
        max_length: int | None = None,
        convert_to_numpy: bool | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode queries: after the examples, with the instruction where there is one, before the suffix.

        The result and the errors are those of :meth:`encode`.

        Args:
            queries: One query, or any number of them.
            batch_size: At most so many texts in one forward; None means the model's setting, as for what follows.
            max_length: Tokens of a query that count, with its instruction, the suffix and the special tokens, without
                the examples (``query_max_length``).
            convert_to_numpy: numpy, or else torch.
            **kwargs: As for :meth:`encode`.
        """
        return super().encode_queries(queries, batch_size, max_length, convert_to_numpy, as_query=True, **kwargs)

    def encode_queries_single_device(self, queries: list[str], *args: Any, **kwargs: Any) -> Any:
        """Encode queries on one device.

        The result and the errors are those of :meth:`encode_single_device`.

        Args:
            queries: Queries without instruction, which is put before them here.
            *args: As for :meth:`encode_single_device`.
            **kwargs: As for :meth:`encode_single_device`.
        """
        texts = with_instruction(queries, self.query_instruction_for_retrieval, self.query_instruction_format)
        return self.encode_single_device(texts, *args, as_query=True, **kwargs)

    def encode_single_device(
        self,
        sentences: list[str],
        batch_size: int = 256,
        max_length: int | None = None,
        convert_to_numpy: bool = True,
        device: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode ready-made texts on one device, as passages or, with ``as_query=True``, as queries.

        The result and the errors are those of
        :meth:`~FlagEmbedding.inference.embedder.dense.DenseEmbedder.encode_single_device`.

        Args:
            sentences: The texts, instruction included; the examples and the suffix are put around them here.
            batch_size: At most so many texts in one forward.
            max_length: Tokens of a text that count; never more than the model has positions for.
            convert_to_numpy: numpy, or else torch.
            device: As torch spells it; the model moves there if it is elsewhere.
            **kwargs: ``as_query``, and what the base class takes.
        """
        engine_on = self._query_engine_on if kwargs.pop("as_query", False) else self._engine_on
        engine = engine_on(device or self.target_devices[0])
        return self._encode_on(engine, sentences, batch_size, max_length, convert_to_numpy, kwargs)

    def _set_up(self, network: Any) -> None:
        super()._set_up(network)
        self._query_engine = None

    def _query_engine_on(self, device: str) -> TextEngine:
        self._engine_on(device)  # moves the model, if it is elsewhere
        if self._query_engine is None or self._query_engine[0] != self.prefix:  # a worker is sent another prefix
            self._query_engine = self.prefix, self._new_query_engine()
        return self._query_engine[1]

    def _new_query_engine(self) -> TextEngine:
        tokenizer = QueryTokenizer(self._own_tokenizer, self.prefix, self.suffix, self._limit)
        once = tokenizer.prefix_tokens if computes_beginnings_once(self._forward) else 0
        return Engine(tokenizer, self._forward, self._room, once=once)
