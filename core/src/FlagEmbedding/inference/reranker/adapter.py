"""Adapters: LoRA weights of a fine-tune, merged into the model that they were trained on."""

from __future__ import annotations

import importlib
from typing import Any

from FlagEmbedding.errors import CheckpointError, OptionError


def with_adapter(model: Any, peft_path: str | None) -> Any:
    """Return ``model`` with the adapter in ``peft_path`` merged into its weights; unchanged without one.

    Raises:
        OptionError: The package peft is not installed.
        CheckpointError: There is no such adapter, or it does not fit the model.
    """
    if not peft_path:
        return model
    try:
        peft: Any = importlib.import_module("peft")
    except ImportError as error:
        raise OptionError(f"peft_path={peft_path!r} needs the package peft. Run: pip install peft") from error
    try:
        config = peft.PeftConfig.from_pretrained(peft_path)
        config.task_type = None  # it would wrap the model for generating text, which these models need not be able to
        merged = peft.PeftModel.from_pretrained(model, peft_path, config=config).merge_and_unload()
    except (OSError, ValueError, KeyError, AttributeError, TypeError, RuntimeError) as error:
        raise CheckpointError(f"the adapter {peft_path!r} cannot be loaded: {error}") from error
    return merged.eval().requires_grad_(requires_grad=False)
