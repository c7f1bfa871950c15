"""Prompts: what goes before a text, by the names that sentence-transformers gives them."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar

from FlagEmbedding.abc.inference.instructions import with_instruction
from FlagEmbedding.abc.inference.on_devices import Derived
from FlagEmbedding.errors import OptionError
from FlagEmbedding.spelling import did_you_mean

_NO_PROMPTS: Mapping[str, str] = MappingProxyType({})
_PASSAGE_NAMES = ("document", "passage", "corpus")


def _prompts(model: NamedPrompts) -> dict[str, str]:
    """What goes before a text, by name: ``"query"``, ``"document"``, and those that the model's files name."""
    own = {name: with_instruction([""], *model._instruction_named(name))[0] for name in ("query", "document")}  # noqa: SLF001 - of its base
    return {**own, **model._named_prompts}  # noqa: SLF001


class NamedPrompts:
    """The instructions of a model as prompts with names, and those that the model's files name besides.

    Attributes:
        prompts: What goes before a text, by name: ``"query"`` and ``"document"``, as the instructions of this model
            have it, and those that the model's files name besides. A copy: to change an instruction, assign
            ``query_instruction_for_retrieval``.
    """

    query_instruction_for_retrieval: str | None
    query_instruction_format: str
    passage_instruction_for_retrieval: str | None
    passage_instruction_format: str

    prompts: ClassVar[Derived[dict[str, str]]] = Derived(_prompts)
    _named_prompts: Mapping[str, str] = _NO_PROMPTS

    def _prompted(self, options: dict[str, Any]) -> tuple[str | None, str | None] | None:
        """Take ``prompt`` and ``prompt_name`` out of ``options``; return instruction and format, None for neither."""
        prompt, name = options.pop("prompt", None), options.pop("prompt_name", None)
        if prompt is None:
            return None if name is None else self._instruction_named(name)
        if not isinstance(prompt, str):
            raise OptionError(f"prompt must be a string, not {prompt!r}.")
        return prompt, None

    def _instruction_named(self, name: str) -> tuple[str | None, str | None]:
        if name == "query":
            return self.query_instruction_for_retrieval, self.query_instruction_format
        if name in _PASSAGE_NAMES:
            return self.passage_instruction_for_retrieval, self.passage_instruction_format
        if not isinstance(name, str) or name not in self._named_prompts:
            known = ["query", "document", *self._named_prompts]
            hint = did_you_mean(name, known) if isinstance(name, str) else ""
            raise OptionError(
                f"prompt_name={name!r} is none of this model's prompts: {', '.join(map(repr, known))}. {hint}".rstrip()
            )
        return self._named_prompts[name], None


def check_prompts(prompts: Any) -> Mapping[str, str]:
    """Return prompts by name; None means none.

    Raises:
        OptionError: They are no strings by name, or go before queries or passages, which the instructions say.
    """
    if prompts is None:
        return {}
    good = isinstance(prompts, Mapping) and all(isinstance(part, str) for item in prompts.items() for part in item)
    if not good:
        raise OptionError(f"prompts are strings by name, not {prompts!r}.")
    for name, option in (("query", "query"), *((name, "passage") for name in _PASSAGE_NAMES)):
        if name in prompts:
            raise OptionError(f"the prompt {name!r} is said with {option}_instruction_for_retrieval={prompts[name]!r}.")
    return dict(prompts)
