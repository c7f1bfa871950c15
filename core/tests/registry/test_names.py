"""Names: from what a caller writes to the entry that is meant."""

from __future__ import annotations

import re
from pathlib import Path, PureWindowsPath

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from FlagEmbedding.claims import Claim
from FlagEmbedding.config import EmbedderConfig
from FlagEmbedding.errors import InputError, NameConflictError
from FlagEmbedding.registry.mapping import ModelMapping
from FlagEmbedding.registry.names import clean_name, find_entry


def config(hub_id: str | None = None) -> EmbedderConfig:
    return EmbedderConfig("acme.model:Embedder", "cls", hub_id=hub_id)


# "acme-renamed" has another name on the hub; "Acme-Private" is on no hub.
MAPPING = {
    "acme-m3": config("ACME/acme-m3"),
    "acme-m3-large": config("ACME/acme-m3-large"),
    "acme-renamed": config("ACME/embed_v2"),
    "Acme-Private": config(),
    "acme/slashed": config("elsewhere/slashed"),
}

HASH = "5617a9f61b028005a4858fdac845db406aefb181"


class Bytes:
    def __fspath__(self):
        return b"acme-m3"


class TestCleanName:
    @pytest.mark.parametrize(
        ("given", "expected"),
        [
            ("acme-m3", "acme-m3"),
            ("ACME/acme-m3", "ACME/acme-m3"),
            ("acme-m3/", "acme-m3"),
            ("acme-m3///", "acme-m3"),
            ("acme-m3\\", "acme-m3"),
            ("/models/acme-m3/\\/", "/models/acme-m3"),
            ("  acme-m3 \n", "acme-m3"),
            ("./acme-m3", "./acme-m3"),
            ("..", ".."),
            (Path("/models/acme-m3"), "/models/acme-m3"),
            (PureWindowsPath("C:\\models\\acme-m3"), "C:\\models\\acme-m3"),
        ],
    )
    def test_trailing_slashes_and_outer_blanks_go(self, given, expected):
        assert clean_name(given) == expected

    @pytest.mark.parametrize("given", ["~/acme-m3", "~/acme-m3/"])
    def test_the_home_folder_is_filled_in(self, given, monkeypatch):
        monkeypatch.setenv("HOME", "/home/acme")
        assert clean_name(given) == "/home/acme/acme-m3"

    def test_the_home_folder_of_nobody_stays_as_it_is(self):
        assert clean_name("~no-such-user/acme-m3") == "~no-such-user/acme-m3"

    @pytest.mark.parametrize("given", [None, 3, b"acme-m3", ["acme-m3"], EmbedderConfig])
    def test_what_is_no_name_is_refused(self, given):
        with pytest.raises(InputError) as caught:
            clean_name(given)
        assert str(caught.value) == f"a model is given by name or path, not by {type(given).__name__}."

    def test_a_path_of_bytes_is_refused(self):
        with pytest.raises(InputError, match="a model is given by name or path, not by"):
            clean_name(Bytes())

    @pytest.mark.parametrize("given", ["", " ", "/", "\\", "//", " / "])
    def test_what_names_nothing_is_refused(self, given):
        with pytest.raises(InputError) as caught:
            clean_name(given)
        assert str(caught.value) == (
            f"{given.strip()!r} is no model name. Give a registered name, a hub id (org/name) or a local folder."
        )


class TestFindEntry:
    @pytest.mark.parametrize("name", MAPPING)
    def test_the_name_itself(self, name):
        assert find_entry(name, MAPPING) == name

    @pytest.mark.parametrize(
        ("text", "entry"),
        [
            ("ACME/acme-m3", "acme-m3"),  # the official hub id
            ("ACME/embed_v2", "acme-renamed"),  # whose last part is not the name
            ("acme/EMBED_V2", "acme-renamed"),
            ("elsewhere/slashed", "acme/slashed"),
            ("someone/acme-m3", "acme-m3"),  # somebody's copy
            ("Acme-M3", "acme-m3"),  # another case
            ("ACME-PRIVATE", "Acme-Private"),
            ("Someone/ACME-m3-Large", "acme-m3-large"),
            ("/models/acme-m3", "acme-m3"),  # folders
            ("./acme-m3", "acme-m3"),
            ("../up/Acme-M3", "acme-m3"),
            ("C:\\models\\acme-m3", "acme-m3"),
            ("/models/ACME/acme-m3", "acme-m3"),
            ("out/acme-m3/checkpoint-500", "acme-m3"),  # the trainer's checkpoints
            ("acme-m3/checkpoint-0", "acme-m3"),
            ("C:\\out\\acme-m3\\checkpoint-12000", "acme-m3"),
            (f"/cache/models--ACME--acme-m3/snapshots/{HASH}", "acme-m3"),  # the hub's cache
            (f"/cache/models--ACME--embed_v2/snapshots/{HASH}", "acme-renamed"),
            (f"/cache/models--someone--acme-m3/snapshots/{HASH}", "acme-m3"),
            (f"C:\\cache\\models--ACME--acme-m3\\snapshots\\{HASH}", "acme-m3"),
            (f"/cache/models--ACME--acme-m3-large/snapshots/{HASH}/onnx", "acme-m3-large"),
        ],
    )
    def test_other_ways_to_write_it(self, text, entry):
        assert find_entry(text, MAPPING) == entry

    @pytest.mark.parametrize(
        "text",
        [
            "acme",
            "acme-m",
            "acme-m33",
            "acme-m3-tuned",
            "acme-m3/other",
            "ACME",
            "embed_v2",
            "/models/acme-m3/final",
            "/models/acme-m3/checkpoint-best",
            "/models/acme-m3/my-checkpoint-5",
            "/models/other/checkpoint-500",
            f"/cache/models--ACME--other/snapshots/{HASH}",
            f"/models/acme-m3/models--ACME--other/snapshots/{HASH}",
            f"/cache/snapshots/{HASH}",
        ],
    )
    def test_what_matches_nothing(self, text):
        assert find_entry(text, MAPPING) is None

    @pytest.mark.parametrize("text", [".", "./.", "checkpoint-500", "./checkpoint-500", "../checkpoint-500"])
    def test_a_path_without_a_name_is_not_taken_for_a_model_without_a_hub_id(self, text):
        assert find_entry(text, MAPPING) is None

    def test_the_case_that_is_written_comes_first(self):
        mapping = {"ACME": config(), "acme": config(), "Acme": config()}
        assert [find_entry(name, mapping) for name in ("acme", "Acme", "aCME")] == ["acme", "Acme", "ACME"]

    def test_the_whole_text_comes_before_its_last_part(self):
        mapping = {"m3": config(), "acme/m3": config()}
        assert find_entry("acme/m3", mapping) == "acme/m3"

    def test_the_official_hub_id_comes_before_the_last_part(self):
        mapping = {"m3": config("first/m3"), "m3-second": config("second/m3")}
        assert find_entry("second/m3", mapping) == "m3-second"


class TestConflicts:
    @pytest.fixture
    def mapping(self):
        claims = {
            "acme-m3": [Claim(config("ACME/acme-m3"), "acme 1.0"), Claim(config("other/acme-m3"), "other 2.0")],
            "acme-other": [Claim(config("ACME/acme-other"), "acme 1.0")],
        }
        return ModelMapping("embedder", EmbedderConfig, lambda: claims)

    @pytest.mark.parametrize(
        "text", ["acme-m3", "ACME/acme-m3", "other/acme-m3", "ACME-M3", "acme/ACME-m3", "out/acme-m3/checkpoint-5"]
    )
    def test_asking_for_a_claimed_name_in_any_way_names_both(self, mapping, text):
        with pytest.raises(NameConflictError, match=r"the embedder 'acme-m3' is claimed by acme 1\.0 and other 2\.0"):
            find_entry(text, mapping)

    def test_other_names_work(self, mapping):
        assert find_entry("ACME/acme-other", mapping) == "acme-other"


names = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,20}", fullmatch=True)
prefixes = st.lists(names | st.sampled_from(["..", "."]), max_size=4)


@given(names, st.sampled_from(["", "/", "./", "../"]), prefixes, st.text("/\\", max_size=4), st.booleans())
def test_a_registered_name_is_found_behind_any_path_and_before_any_slashes(name, root, folders, slashes, checkpoint):
    assume(not re.fullmatch(r"checkpoint-\d+", name))
    written = root + "/".join([*folders, name, *(["checkpoint-500"] if checkpoint else [])]) + slashes
    mapping = {"another": config("ACME/another"), name: config()}
    assert find_entry(clean_name(written), mapping) == name
    assert find_entry(clean_name(Path(written)), mapping) == name


@given(names, prefixes, st.text("/\\", max_size=4))
def test_it_is_found_in_any_case(name, folders, slashes):
    assume(not re.fullmatch(r"(?i)checkpoint-\d+", name))
    written = "/".join([*folders, name]) + slashes
    assert find_entry(clean_name(written.swapcase()), {name: config()}) == name
