from __future__ import annotations

import pytest

from FlagEmbedding.abc.inference.instructions import check_format, with_instruction
from FlagEmbedding.errors import ConfigError


@pytest.mark.parametrize(
    ("instruction", "template", "expected"),
    [
        ("query: ", None, "query: text"),
        ("query: ", "{}{}", "query: text"),
        ("Find it.", "Instruct: {}\nQuery: {}", "Instruct: Find it.\nQuery: text"),
        ("Find it.", r"Instruct: {}\nQuery: {}", "Instruct: Find it.\nQuery: text"),
        ("a", "<{}>{{{}}}", "<a>{text}"),
        (r"two \n characters", "{}: {}", r"two \n characters: text"),
        ("{braces} {} {0}", "{} {}", "{braces} {} {0} text"),
        (None, "{}: {}", "text"),
        ("", "{}: {}", "text"),
        (" ", "{}: {}", " : text"),
    ],
)
def test_byte_for_byte(instruction, template, expected):
    assert with_instruction(["text"], instruction, template) == [expected]


@pytest.mark.parametrize("text", ["", "{}", "{0} {name} {{", r"\n", "\n", "%s", "\0"])
def test_the_text_itself_is_never_read_as_a_format(text):
    assert with_instruction([text, text], "i", "{}|{}") == [f"i|{text}", f"i|{text}"]


@pytest.mark.parametrize("instruction", [None, "", "i: "])
def test_the_callers_list_stays_as_it_is(instruction):
    texts = ["a", "b"]
    result = with_instruction(texts, instruction, None)
    assert result is not texts
    assert texts == ["a", "b"]


@pytest.mark.parametrize(
    "template", ["", "{}", "{}{}{}", "{0}{1}", "{query}{}", "{}{", "}{}{}", "{:>5}{}", "{!r}{}", "{:{}}{}", 5, None]
)
def test_what_is_no_format(template):
    with pytest.raises(
        ConfigError, match=r"^query_instruction_format must have exactly two '\{\}' \(instruction, then"
    ):
        check_format(template, "query_instruction_format")
