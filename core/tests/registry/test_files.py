"""ModelFiles: the small JSON files of a model's folder."""

from __future__ import annotations

import json

import pytest

from FlagEmbedding.errors import CheckpointError
from FlagEmbedding.registry.files import ModelFiles

READERS = [ModelFiles.mapping, ModelFiles.objects]


@pytest.fixture
def files(model_folder):
    """Return a function that gives the files of a model with this one."""
    return lambda content: ModelFiles("acme/embed", model_folder({"1_Pooling/config.json": content}))


def test_an_object(files):
    assert files({"pooling_mode": "ä"}).mapping("1_Pooling/config.json") == {"pooling_mode": "ä"}


@pytest.mark.parametrize("content", [[], [{}], [{"type": "a"}, {"type": "ä"}]])
def test_a_list_of_objects(files, content):
    assert files(content).objects("1_Pooling/config.json") == content


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", ["modules.json", "1_Pooling"])
def test_without_such_a_file_it_is_none(files, read, name):
    assert read(files({}), name) is None


@pytest.mark.parametrize(
    ("read", "content", "shape"),
    [
        *[(ModelFiles.mapping, content, "an object") for content in (["a"], "a", 3, True)],
        *[(ModelFiles.objects, content, "a list of objects") for content in ({"a": 1}, ["a"], [{}, 3], 3, True)],
    ],
)
def test_json_of_another_shape_is_shown(files, read, content, shape):
    with pytest.raises(CheckpointError) as caught:
        read(files(json.dumps(content)), "1_Pooling/config.json")
    assert str(caught.value) == f"1_Pooling/config.json of 'acme/embed' should hold {shape}, not {content!r}."


@pytest.mark.parametrize("read", READERS)
def test_null_is_not_taken_for_a_missing_file(files, read):
    with pytest.raises(CheckpointError, match=r"^1_Pooling/config\.json of 'acme/embed' should hold .*, not None\.$"):
        read(files("null"), "1_Pooling/config.json")


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize(
    ("content", "cause", "error"),
    [
        (b"\xff\xfe", "'utf-8' codec can't decode byte 0xff", UnicodeDecodeError),
        (b"", "Expecting value", ValueError),
        (b"[" * 100_000, "maximum recursion depth exceeded", RecursionError),
    ],
)
def test_what_is_no_json_is_named(files, read, content, cause, error):
    model = files({})
    (model.folder / "1_Pooling" / "config.json").write_bytes(content)
    with pytest.raises(CheckpointError) as caught:
        read(model, "1_Pooling/config.json")
    assert str(caught.value).startswith(f"1_Pooling/config.json of 'acme/embed' cannot be read as JSON: {cause}")
    assert isinstance(caught.value.__cause__, error)
