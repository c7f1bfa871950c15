"""Pseudo mixture-of-experts embedders: one checkpoint with a set of weights a domain, one of which is active.

No checkpoint of this kind is registered, and none was public when this was written. What one looks like is what
FlagEmbedding 1.4.2 calls: Python code of its own (``auto_map``) with ``set_domain(name)``, or a ``forward`` that takes
``domain=``. Which domains there are stands in its configuration as ``domains``, if anywhere.
"""

from __future__ import annotations

import contextlib
import inspect
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch

from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.devices import DeviceLike
from FlagEmbedding.engine.forward import PaddedForward
from FlagEmbedding.engine.runner import Engine
from FlagEmbedding.errors import CheckpointError, OptionError
from FlagEmbedding.inference.embedder.decoder_only.base import BaseLLMEmbedder
from FlagEmbedding.inference.embedder.dense import TextEngine
from FlagEmbedding.spelling import did_you_mean


class PseudoMoELLMEmbedder(BaseLLMEmbedder):
    r"""A decoder with an active domain; ``FlagPseudoMoEModel`` is its public name.

    A checkpoint without domains works like any other decoder, as long as none is asked for. Where the checkpoint keeps
    the domain as its state (``set_domain``), threads that use one embedder must ask for the same one.

    The arguments that are not listed are those of
    :class:`~FlagEmbedding.inference.embedder.decoder_only.base.BaseLLMEmbedder`.

    Args:
        use_bf16: bfloat16; None means on accelerators, where these models are meant to run in it.
        trust_remote_code: Whether Python code of the checkpoint may run. The code that routes the domains is such
            code, and the default stays False (upstream: True): read it first.
        domain_for_pseudo_moe: The domain, where a call names none; None means the checkpoint's own default.

    Raises:
        CheckpointError: The checkpoint comes with Python code that was not allowed to run.
        OptionError: It knows no such domain, or none at all.
    """

    packs = False  # each call names the domain

    def __init__(
        self,
        model_name_or_path: str,
        normalize_embeddings: bool = True,
        use_fp16: bool = False,
        use_bf16: bool | None = None,
        query_instruction_for_retrieval: str | None = None,
        query_instruction_format: str = "Instruct: {}\nQuery: {}",
        devices: DeviceLike | Iterable[DeviceLike] | None = None,
        trust_remote_code: bool = False,
        cache_dir: str | None = None,
        batch_size: int = 256,
        query_max_length: int | None = None,
        passage_max_length: int | None = None,
        convert_to_numpy: bool = True,
        truncate_dim: int | None = None,
        domain_for_pseudo_moe: str | None = None,
        **kwargs: Any,
    ) -> None:
        self.trust_remote_code = trust_remote_code
        self.domain_for_pseudo_moe = domain_for_pseudo_moe
        self._bf16_where_it_pays = use_bf16 is None
        self._state_is_set = False
        super().__init__(
            model_name_or_path,
            normalize_embeddings=normalize_embeddings,
            use_fp16=use_fp16,
            use_bf16=bool(use_bf16),
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
            **kwargs,
        )
        self._check_domain(domain_for_pseudo_moe)

    @property
    def domains(self) -> tuple[str, ...]:
        """The domains that the checkpoint's configuration lists; empty when it lists none."""
        listed: Any = getattr(self._network.config, "domains", None) or ()
        return () if isinstance(listed, str) else tuple(map(str, listed))

    def encode_single_device(
        self,
        sentences: list[str],
        batch_size: int = 256,
        max_length: int | None = None,
        convert_to_numpy: bool = True,
        device: str | None = None,
        **kwargs: Any,
    ) -> Any:
        """Encode ready-made texts on one device.

        The arguments and the result are those of
        :meth:`~FlagEmbedding.inference.embedder.dense.DenseEmbedder.encode_single_device`, and further:
        ``domain_for_pseudo_moe`` or, shorter, ``domain``: the domain for this call.

        Raises:
            OptionError: The checkpoint knows no such domain, or an option is unknown.
            NotFiniteError: A vector holds NaN or infinity.
        """
        domain = self._domain_of_call(kwargs)
        self._engine_on(device or self.target_devices[0])  # moves the model, if it is elsewhere
        forward = PaddedForward(self._routed(domain), self._pad_id, self._device)
        engine: TextEngine = Engine(self._tokenizer, forward, self._room)
        return self._encode_on(engine, sentences, batch_size, max_length, convert_to_numpy, kwargs)

    def _load_config(self, checkpoint: Checkpoint) -> Any:
        """Refuse code that may not run: transformers would take its own class for the type, and route nothing."""
        code = _own_code(checkpoint.folder)
        if code and not self.trust_remote_code:
            raise CheckpointError(
                f"{checkpoint.source!r} comes with Python code of its own ({code}), which may not run. Read it, and "
                f"if you trust it, load the model with trust_remote_code=True."
            )
        self.use_bf16 = self.use_bf16 or (self._bf16_where_it_pays and self.target_devices[0] != "cpu")
        return super()._load_config(checkpoint)

    def _domain_of_call(self, options: dict[str, Any]) -> str | None:
        """Take the domain out of ``options``: the long name counts before the short one, as upstream has it."""
        given = [options.pop(name, None) for name in ("domain_for_pseudo_moe", "domain")]
        domain = next((name for name in given if name is not None), self.domain_for_pseudo_moe)
        self._check_domain(domain)
        return domain

    def _check_domain(self, domain: str | None) -> None:
        if domain is None:
            return
        if not isinstance(domain, str):
            raise OptionError(f"the domain must be a string, not {domain!r}.")
        if not (self._keeps_domain() or self._takes_domain()):
            raise OptionError(
                f"domain {domain!r} was asked for, and {self.model_name_or_path!r} has no domains: its model has no "
                f"set_domain() and its forward takes no domain=. Leave the domain out."
            )
        if self.domains and domain not in self.domains:
            hint = did_you_mean(domain, self.domains)
            raise OptionError(f"unknown domain {domain!r}. {hint} Known: {', '.join(self.domains)}.".replace("  ", " "))

    def _keeps_domain(self) -> bool:
        return callable(getattr(self._network, "set_domain", None))

    def _takes_domain(self) -> bool:
        return "domain" in inspect.signature(self._network.forward).parameters

    def _routed(self, domain: str | None) -> Any:
        if self._keeps_domain():
            self._set_domain(domain)
        if domain is None or not self._takes_domain():
            return self._network
        return _Routed(self._network, domain)

    def _set_domain(self, domain: str | None) -> None:
        if domain is None and self._state_is_set:
            raise OptionError(
                "an earlier call set a domain, and the checkpoint says no way back to its default: name the domain."
            )
        if domain is not None:
            model: Any = self._network
            with _explained(domain):
                model.set_domain(domain)
            self._state_is_set = True


class _Routed(torch.nn.Module):
    """A model whose every forward names the domain."""

    def __init__(self, model: torch.nn.Module, domain: str) -> None:
        super().__init__()
        self._model = model
        self._domain = domain

    def forward(self, **inputs: Any) -> Any:
        with _explained(self._domain):
            return self._model(**inputs, domain=self._domain)


@contextlib.contextmanager
def _explained(domain: str) -> Iterator[None]:
    """Turn what a checkpoint's code raises over a domain it does not know into an error of ours."""
    try:
        yield
    # What dictionaries, torch's among them, raise over a name that is not in them; and checks.
    except (LookupError, AttributeError, ValueError) as error:
        raise OptionError(
            f"the checkpoint's code fails on domain {domain!r} ({type(error).__name__}: {error}). If that is none of "
            f"its domains, name another: 'general', 'coding' and 'reasoning' are the usual ones."
        ) from error


def _own_code(folder: Path) -> Any:
    """Return ``auto_map`` of the configuration; None where there is none, or no readable configuration."""
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None  # loading it says why
    return config.get("auto_map") if isinstance(config, dict) else None
