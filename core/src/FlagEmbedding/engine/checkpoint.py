"""Loading: a backbone and its tokenizer from a folder or the hub, complete or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import MODEL_FOR_TEXT_ENCODING_MAPPING, AutoConfig, AutoModel, AutoTokenizer

from FlagEmbedding.engine.completeness import require_complete
from FlagEmbedding.engine.explaining import explained
from FlagEmbedding.engine.packed.bare import BareEncoder, bare_encoder
from FlagEmbedding.engine.plausible import INDICES, check_settings, check_shards, check_size
from FlagEmbedding.errors import CheckpointError, UnknownModelError
from FlagEmbedding.hub import fetch_files, fetch_model
from FlagEmbedding.sources import is_file, is_folder, looks_like_path

# Heads of pre-training, beside the backbone: a checkpoint may hold them, and no embedding model uses them.
_UNUSED = (
    "cls.",
    "lm_head.",
    "pooler.",
    "predictions.",
    "head.",  # ModernBERT's
    "decoder.bias",
    "vocab_",  # DistilBERT's
    "generator_",  # ELECTRA's
    "discriminator_predictions.",
)

_OWN_CODE = " It was made for Python code of its own (auto_map), which is not run."

_TOKENIZER_FILES = (
    "tokenizer.json",
    "tokenizer.model",
    "vocab.txt",
    "vocab.json",
    "spiece.model",
    "sentencepiece.bpe.model",
)


class Checkpoint:
    """The files of one model, in a local folder.

    Args:
        source: A local folder or a hub id, which is fetched into the hub's cache.
        trust_remote_code: Whether Python code of the checkpoint may run.
        hub_options: Those of :data:`FlagEmbedding.hub.HUB_OPTIONS`; what is None or False is left to the hub's client.
        extra_files: Patterns of further files to fetch, which a class reads beside the weights.

    Raises:
        UnknownModelError: There is neither such a folder nor such a repository.
        DownloadError: The repository could not be fetched.
    """

    def __init__(
        self,
        source: str,
        *,
        trust_remote_code: bool = False,
        hub_options: Mapping[str, Any] = {},
        extra_files: Sequence[str] = (),
    ) -> None:
        if looks_like_path(source) and not is_folder(source):
            raise UnknownModelError(f"there is no model folder {source!r}.")
        extra = (*extra_files, "*.py") if trust_remote_code else extra_files
        options = {name: value for name, value in hub_options.items() if value}
        self.folder = Path(source) if is_folder(source) else fetch_model(source, options, extra)
        self.source = source
        self._options = {"trust_remote_code": trust_remote_code}
        self._hub_options: dict[str, Any] | None = None if is_folder(source) else options
        self._check_config()

    def __getstate__(self) -> dict[str, Any]:
        """Leave out how the hub is asked, an access token, say: a copy finds every file that was fetched before."""
        return {**vars(self), "_hub_options": None}

    def file(self, name: str) -> Path | None:
        """Return the path of a further file, fetched if need be, or None when the model has no such file."""
        if not self._has(name) and self._hub_options is not None:
            fetch_files(self.source, self._hub_options, [name])
        return self.folder / name if self._has(name) else None

    def load_config(self) -> Any:
        """Return the model's transformers configuration."""
        if not self._has("config.json"):
            raise CheckpointError(f"{self.source!r} has no config.json, so it is no model folder.")
        with explained("config.json", self.source):
            config = AutoConfig.from_pretrained(self.folder, **self._options)
            # What a checkpoint was saved with may say how a network answers; here it is asked in one way.
            config.return_dict, config.output_attentions, config.output_hidden_states = True, False, False
            return config

    def load_tokenizer(self, **flags: bool) -> Any:
        """Return the tokenizer, built with ``flags`` (``add_bos_token``, ``add_eos_token``) where some are given.

        Raises:
            CheckpointError: There is none; transformers 5 would make up an empty one.
        """
        if not any(map(self._has, _TOKENIZER_FILES)):
            raise CheckpointError(
                f"{self.source!r} has no tokenizer (none of {', '.join(_TOKENIZER_FILES)}). Copy the tokenizer files "
                f"of the model it was trained from into it."
            )
        with explained("tokenizer", self.source):
            tokenizer = AutoTokenizer.from_pretrained(self.folder, **flags, **self._options)
        if not getattr(tokenizer, "is_fast", False):
            raise CheckpointError(f"the tokenizer of {self.source!r} has no tokenizers backend, which is needed here.")
        return tokenizer

    def tokenizer_settings(self) -> Mapping[str, Any]:
        """Return ``tokenizer_config.json`` as it was written; transformers 5 drops some of it unread."""
        return self.settings("tokenizer_config.json")

    def settings(self, name: str) -> Mapping[str, Any]:
        """Return the JSON object in a file as it was written; empty when the model has no such file."""
        path = self.folder / name
        with explained(name, self.source):
            settings: Mapping[str, Any] = json.loads(path.read_text(encoding="utf-8")) if is_file(path) else {}
            return {**settings}

    def load_backbone(
        self, config: Any, dtype: torch.dtype, attention: str | None = None, unused: Sequence[str] = ()
    ) -> torch.nn.Module:
        """Return the backbone alone, without the heads of its pre-training; otherwise as :meth:`load_model`.

        Of T5 and its kin that is the encoder: a decoder has nothing to read here.
        """
        encoder: Any = MODEL_FOR_TEXT_ENCODING_MAPPING.get(type(config), AutoModel)
        kind, left = (encoder, ("decoder.",)) if encoder.__name__.endswith("EncoderModel") else (AutoModel, ())
        model = self.load_model(kind, config, dtype, attention, (*_UNUSED, *left, *unused), may_lack=("pooler.",))
        if getattr(model, "pooler", None) is not None:
            model.register_module("pooler", None)  # the head of BERT's pre-training, which no embedder reads
        return model

    def load_bare_backbone(self, config: Any, dtype: torch.dtype, unused: Sequence[str] = ()) -> BareEncoder | None:
        """Return the weights of a BERT-like backbone; None where they need transformers' own code and checks."""
        with explained("weights", self.source):
            return bare_encoder(self.folder, config, dtype, (*_UNUSED, *unused))

    def load_model(
        self,
        kind: Any,
        config: Any,
        dtype: torch.dtype,
        attention: str | None = None,
        unused: Sequence[str] = (),
        may_lack: tuple[str, ...] = (),
    ) -> torch.nn.Module:
        """Return a model in evaluation mode, on the CPU, in ``dtype``.

        Args:
            kind: A class with transformers' ``from_pretrained``.
            config: The model's configuration.
            dtype: Of its weights.
            attention: transformers' attention; None means its own choice.
            unused: Prefixes of weights that the checkpoint may hold for another use.
            may_lack: Prefixes of weights that the model can do without.

        Raises:
            CheckpointError: A weight is missing, left over or of another shape; such a model would run on random
                numbers and say nothing.
        """
        extra = {"attn_implementation": attention} if attention else {}
        with explained("weights", self.source):
            self._check_weights(kind, config)
            model: torch.nn.Module
            model, info = kind.from_pretrained(
                self.folder,
                config=config,
                dtype=dtype,
                output_loading_info=True,
                ignore_mismatched_sizes=True,  # reported by us, with the missing and unexpected ones
                **extra,
                **self._options,
            )
        hint = _OWN_CODE if "auto_map" in config.to_dict() else ""
        require_complete(self.source, info, tuple(unused), may_lack, hint)
        return model.eval().requires_grad_(requires_grad=False)

    def _has(self, name: str) -> bool:
        return is_file(self.folder / name)

    def _check_config(self) -> None:
        """Look at what it asks for, before a class of configurations gets to see it."""
        try:
            settings = self.settings("config.json")
        except CheckpointError:  # whoever needs it says what is wrong with it
            return
        check_settings(self.source, "config.json", settings)

    def _check_weights(self, kind: Any, config: Any) -> None:
        """Look at what is about to be opened and allocated."""
        named = getattr(config, "transformers_weights", None)
        for name in (*INDICES, *([named] if isinstance(named, str) and named.endswith(".json") else [])):
            if self._has(name):
                check_shards(self.source, name, self.settings(name))
        if not self._options["trust_remote_code"]:
            check_size(self.source, self.folder, kind, config)
