from __future__ import annotations

from types import MappingProxyType

import pytest

from FlagEmbedding.errors import ConfigError, InputError, OptionError
from flagembedding_bge.icl_examples import check_examples_format, few_shot_prefix

FORMAT = "<instruct>{}\n<query>{}\n<response>{}"
GOOD = {"instruct": "i", "query": "q", "response": "r"}


@pytest.mark.parametrize("none", [None, [], ()])
def test_no_examples_are_no_text(none):
    assert few_shot_prefix(none, FORMAT, "i") == ""


def test_examples_are_joined_and_ended_by_an_empty_line():
    other = {"response": "R", "query": "Q {}", "instruct": "{0}"}
    expected = "<instruct>i\n<query>q\n<response>r\n\n<instruct>{0}\n<query>Q {}\n<response>R\n\n"
    assert few_shot_prefix([GOOD, MappingProxyType(other)], FORMAT, None) == expected


def test_the_query_instruction_stands_in():
    examples = [{"query": "q", "response": "r"}, GOOD]
    assert few_shot_prefix(examples, "{}|{}|{}", "task") == "task|q|r\n\ni|q|r\n\n"


def test_empty_values_are_values():
    assert few_shot_prefix([dict.fromkeys(GOOD, "")], "{}|{}|{}", "task") == "||\n\n"


@pytest.mark.parametrize(
    ("examples", "message"),
    [
        (GOOD, "must be a list of dicts, not dict"),
        ("text", "must be a list of dicts, not str"),
        (3, r"must be a list of dicts, not int \(3\)"),
        ([GOOD, "text"], r"examples_for_task\[1\] must be a dict with the keys 'instruct', 'query', 'response', not"),
        ([None], r"examples_for_task\[0\] must be a dict .* not None"),
        ([GOOD, {"instruct": "i", "query": "q"}], r"examples_for_task\[1\] has no 'response'"),
        ([{"instruct": "i", "response": "q"}], r"examples_for_task\[0\] has no 'query'"),
        ([{"query": "q", "response": "r"}], r"examples_for_task\[0\] has no 'instruct'"),
        ([{**GOOD, "query": 7}], r"examples_for_task\[0\]\['query'\] must be a string, not int \(7\)"),
        ([{**GOOD, "instruct": None}], r"examples_for_task\[0\]\['instruct'\] must be a string, not None"),
        ([{**GOOD, "query": ["q"]}], r"examples_for_task\[0\]\['query'\] must be a string, not list"),
        ([{**GOOD, "instruction": "i"}], r"\[0\] has an unknown key 'instruction'\. Did you mean 'instruct'\?"),
        ([{**GOOD, 5: "i"}], r"\[0\] has an unknown key 5\. Known: 'instruct', 'query', 'response'\."),
    ],
)
def test_faulty_examples_are_named(examples, message):
    with pytest.raises(OptionError, match=message):
        few_shot_prefix(examples, FORMAT, None)


def test_an_empty_instruction_stands_in_for_nothing():
    with pytest.raises(OptionError, match="has no 'instruct'"):
        few_shot_prefix([{"query": "q", "response": "r"}], FORMAT, "")


def test_no_valid_unicode():
    with pytest.raises(InputError, match=r"examples_for_task\[0\]\['query'\] holds a lone surrogate"):
        few_shot_prefix([{**GOOD, "query": "\ud800"}], FORMAT, None)


def test_a_written_out_line_break():
    assert check_examples_format(r"{}\n{}\n{}") == "{}\n{}\n{}"


@pytest.mark.parametrize("text", ["{}{}", "{}{}{}{}", "{0}{1}{2}", "{a}{}{}", "{", 3, None])
def test_faulty_formats(text):
    with pytest.raises(ConfigError, match="examples_instruction_format must have exactly three"):
        check_examples_format(text)
