"""A model in memory: what embedders and rerankers have in common once their options are checked."""

from __future__ import annotations

import copy
import functools
import logging
from typing import Any, ClassVar

import torch

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.forward import PaddedForward
from FlagEmbedding.engine.limits import check_rows, check_vocabulary, position_limit
from FlagEmbedding.engine.precision import compute_dtype
from FlagEmbedding.engine.running import Backbone, TextForward, engine_reference, fastest, run_by
from FlagEmbedding.inference.placed import PlacedModel

logger = logging.getLogger(__name__)

# None means the model's own limit, but not the 32k and more of today's decoders unless they are asked for.
_DEFAULT_MAX_LENGTH = 8192


class LoadedModel(PlacedModel):
    """Loads a checkpoint, and knows the device it is on. The contract beside it has set the attributes named here.

    Attributes:
        engine: What runs, in words: ``"lean packed encoder of 12 layers, ..."``, why it is padded batches, or what
            another engine says of itself.
    """

    unused_weights: ClassVar[tuple[str, ...]] = ()
    """Prefixes of weights that checkpoints of this class may hold for another use; any other one is an error."""

    extra_files: ClassVar[tuple[str, ...]] = ()
    """Patterns of files that this class reads beside the weights, so that they are fetched with them."""

    packs: bool = True
    """Whether the network may be run in another way than it was written; False for classes that call it themselves."""

    model_name_or_path: str
    _other_engine: str | None = None

    def _load(
        self, *, trust_remote_code: bool, attn_implementation: str | None, engine: str | None = None, **hub_options: Any
    ) -> None:
        """Load the checkpoint onto the first device.

        Raises:
            CheckpointError: Files are missing, damaged, or do not fit together.
            OptionError: The engine is unknown, or does not run this model.
        """
        self.packs = self.packs and attn_implementation is None and not trust_remote_code
        self._other_engine = engine_reference(engine, type(self).__name__, plain=self._is_plain())
        self._checkpoint = checkpoint = Checkpoint(
            str(self.model_name_or_path),
            trust_remote_code=trust_remote_code,
            hub_options=hub_options,
            extra_files=self.extra_files,
        )
        self._attention = attn_implementation
        self._runs_foreign_code = trust_remote_code or self._other_engine is not None
        device = self.target_devices[0]
        self._config = self._load_config(checkpoint)
        self._config.use_cache = False  # one forward a batch: the keys and values of a decoder are never read again
        tokenizer = self._load_tokenizer(checkpoint)
        self._pad_id: int = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
        self._dtype = compute_dtype(device, self.use_fp16, self.use_bf16)
        network = self._to_place()
        if network is not None:
            check_vocabulary(checkpoint.source, network, tokenizer)
            self._limit = position_limit(network)
        self._set_tokenizer(checkpoint.source, tokenizer)
        self._place(device, network)
        logger.info(
            "loaded %r: %s, %s, on %s, %s", checkpoint.source, self._config.model_type, self._dtype, device, self.engine
        )

    @property
    def model(self) -> Any:
        """The network, for the caller.

        From then on it is what runs, in padded batches, so that whatever the caller changes in it counts; workers that
        have the former weights end. Until it is asked for there may be none: the engine keeps the weights in the form
        that is fastest, once.
        """
        self.close()
        self._handed_out = True
        if self._network is None:
            logger.info("the network of %r is handed out: it runs in padded batches now", self.model_name_or_path)
            self.packs = False
            self._place(self._device, self._load_network())
        self._room.side_by_side = False
        return self._network

    @model.setter
    def model(self, network: Any) -> None:
        self.close()
        self._handed_out = True
        self.packs = False
        self._place(self._device, network)

    def _is_plain(self) -> bool:
        """Say whether what runs is the checkpoint's backbone and no code around it, so that another engine could."""
        return self.packs and type(self)._load_model is LoadedModel._load_model  # noqa: SLF001 -- its own

    def _to_place(self) -> Any:
        """Return the network that is to run; None where another engine runs."""
        there = self._network is not None or self._other_engine is not None
        return self._network if there else self._load_network()

    def _load_config(self, checkpoint: Checkpoint) -> Any:
        """Return the model's configuration; a class whose checkpoints need theirs changed overrides this."""
        return checkpoint.load_config()

    def _load_tokenizer(self, checkpoint: Checkpoint) -> Any:
        """Return the tokenizer; a class that asks more of it than it was saved with overrides this."""
        return checkpoint.load_tokenizer()

    def _load_network(self) -> Any:
        # A copy: what runs a model in another way says so in its configuration.
        return self._load_model(self._checkpoint, copy.deepcopy(self._config), self._dtype, self._attention)

    def _load_model(self, checkpoint: Checkpoint, config: Any, dtype: torch.dtype, attention: str | None) -> Any:
        """Return the network on the CPU; the backbone alone, unless a class needs more."""
        bare = checkpoint.load_bare_backbone(config, dtype, self.unused_weights) if self.packs else None
        return bare or checkpoint.load_backbone(config, dtype, attention, self.unused_weights)

    def _set_tokenizer(self, source: str, tokenizer: Any) -> None:  # noqa: ARG002 - for the classes that need it
        """Keep the tokenizer; a class that tokenises in a way of its own prepares it here."""
        self._own_tokenizer = tokenizer

    @functools.cached_property
    def tokenizer(self) -> Any:
        """A copy of the model's tokenizer, for the caller; its settings do not change how texts are encoded."""
        return copy.deepcopy(self._own_tokenizer)

    def _token_limit(self, max_length: int | None) -> int:
        wanted = _DEFAULT_MAX_LENGTH if max_length is None else max_length
        return wanted if self._limit is None else min(self._limit, wanted)

    def _fastest(self, backbone: Any) -> TextForward:
        """Return the forward of a backbone; where that has taken it over, the network is let go."""
        forward: TextForward
        if backbone is None:
            return self._run_by_other_engine()
        if self.packs:
            forward, self.engine, taken = fastest(backbone, self._pad_id, self._device)
            self._network = None if taken else self._network
            return forward
        self.engine = "padded batches"
        forward = PaddedForward(backbone, self._pad_id, self._device)
        return forward

    def _run_by_other_engine(self) -> TextForward:
        checkpoint, config = self._checkpoint, self._config
        load = functools.partial(self._load_backbone, checkpoint, config)
        found = run_by(
            str(self._other_engine),
            Backbone(checkpoint.folder, checkpoint.source, config, self._dtype, self._device, self._pad_id, load),
        )
        check_rows(checkpoint.source, found.rows, self._own_tokenizer)
        self.engine, self._limit = found.words, found.limit
        return found.forward

    def _load_backbone(self, checkpoint: Checkpoint, config: Any, attention: str | None) -> torch.nn.Module:
        return checkpoint.load_backbone(copy.deepcopy(config), self._dtype, attention, self.unused_weights)
