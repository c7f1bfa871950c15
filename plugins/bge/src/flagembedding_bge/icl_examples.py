"""Few-shot examples: what is put before every query, byte for byte as the model was trained to read it."""

from __future__ import annotations

import string
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

from FlagEmbedding.engine.texts import as_texts
from FlagEmbedding.errors import ConfigError, OptionError
from FlagEmbedding.spelling import did_you_mean

Examples: TypeAlias = Sequence[Mapping[str, str]]

_KEYS = ("instruct", "query", "response")
_SEPARATOR = "\n\n"


def check_examples_format(text: object) -> str:
    r"""Return the format of one example, with a written-out ``\n`` made a line break.

    Raises:
        ConfigError: It has not exactly three ``{}``: instruction, query, response.
    """
    name = "examples_instruction_format"
    problem = ConfigError(f"{name} must have exactly three '{{}}' (instruction, query, response), not {text!r}.")
    if not isinstance(text, str):
        raise problem
    try:
        fields = [field for _, field, _, _ in string.Formatter().parse(text) if field is not None]
    except ValueError as error:
        raise problem from error
    if fields != [""] * len(_KEYS):
        raise problem
    return text.replace("\\n", "\n")


def few_shot_prefix(examples: Examples | None, template: str, instruction: str | None) -> str:
    r"""Return the examples through ``template``, joined and followed by an empty line; ``""`` when there are none.

    Args:
        examples: Mappings with the keys ``instruct``, ``query`` and ``response``.
        template: See :func:`check_examples_format`.
        instruction: Stands in for an ``instruct`` that is left out, as programs for the package on PyPI expect.

    Raises:
        OptionError: Something in ``examples`` is not such a mapping; says which, by position and key.
        InputError: A value is no valid Unicode.
    """
    if examples is None:
        return ""
    if isinstance(examples, (str, bytes, Mapping)) or not isinstance(examples, Sequence):
        raise OptionError(f"examples_for_task must be a list of dicts, not {_named(examples)}.")
    shown = [_formatted(example, index, template, instruction) for index, example in enumerate(examples)]
    return "".join(f"{text}{_SEPARATOR}" for text in shown)


def _formatted(example: Any, index: int, template: str, instruction: str | None) -> str:
    where = f"examples_for_task[{index}]"
    if not isinstance(example, Mapping):
        raise OptionError(f"{where} must be a dict with the keys {_listed(_KEYS)}, not {_named(example)}.")
    # An empty instruction means none, so it cannot stand in for one.
    given = {"instruct": instruction, **example} if instruction else dict(example)
    for key in given:
        if key not in _KEYS:
            hint = did_you_mean(str(key), _KEYS) or f"Known: {_listed(_KEYS)}."
            raise OptionError(f"{where} has an unknown key {key!r}. {hint}")
    return template.format(*(_value(given, key, where) for key in _KEYS))


def _value(example: Mapping[str, Any], key: str, where: str) -> str:
    if key not in example:
        raise OptionError(f"{where} has no {key!r}: an example needs {_listed(_KEYS)}.")
    value = example[key]
    if not isinstance(value, str):
        raise OptionError(f"{where}[{key!r}] must be a string, not {_named(value)}.")
    as_texts(value, f"{where}[{key!r}]")  # refuses what is no valid Unicode
    return value


def _listed(names: Sequence[str]) -> str:
    return ", ".join(map(repr, names))


def _named(value: object) -> str:
    return "None" if value is None else f"{type(value).__name__} ({value!r:.40})"
