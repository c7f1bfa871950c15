"""Instructions: what is put before a text, byte for byte as the model card writes it."""

from __future__ import annotations

from collections.abc import Sequence

from FlagEmbedding.config import check_instruction_format


def check_format(text: str, name: str) -> str:
    r"""Return the format with a written-out ``\n`` made a line break (command lines and JSON pass it so).

    Raises:
        ConfigError: It has not exactly two ``{}``.
    """
    check_instruction_format(text, name)
    return text.replace("\\n", "\n")


def with_instruction(texts: Sequence[str], instruction: str | None, instruction_format: str | None) -> list[str]:
    """Return ``texts`` with ``instruction`` before each; unchanged when it is None or empty."""
    if not instruction:
        return list(texts)
    template = check_format("{}{}" if instruction_format is None else instruction_format, "instruction_format")
    return [template.format(instruction, text) for text in texts]


class Instructed:
    """Says what a text is with an instruction before it; of embedders and rerankers alike."""

    @staticmethod
    def get_detailed_instruct(instruction_format: str, instruction: str, sentence: str) -> str:
        r"""Return a text with an instruction before it.

        Args:
            instruction_format: Two ``{}``: instruction, then text; ``\n`` may be written as two characters.
            instruction: What goes before; ``""`` means nothing.
            sentence: The text.

        Returns:
            What a model of this class would be given.

        Raises:
            ConfigError: The format has not two ``{}``.
        """
        return with_instruction([sentence], instruction, instruction_format)[0]
