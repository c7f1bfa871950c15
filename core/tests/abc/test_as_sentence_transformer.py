"""What programs know from a SentenceTransformer, on a class that has one method of its own."""

from __future__ import annotations

import inspect
import logging
import pickle

import numpy as np
import pytest
import torch
from sentence_transformers import SentenceTransformer

from FlagEmbedding import AbsEmbedder
from FlagEmbedding.errors import InputError, OptionError

TEXTS = ["a", "bcd", "ef"]


class Counting(AbsEmbedder):
    """The vector of a text: its length, and how many spaces and colons it has, and minus one."""

    def encode_single_device(
        self, sentences, batch_size=256, max_length=None, convert_to_numpy=True, device=None, **options
    ):
        self.given = sentences
        self.options = {"batch_size": batch_size, "max_length": max_length, "device": device, **options}
        rows = np.array([[len(text), text.count(" "), text.count(":"), -1] for text in sentences], dtype=np.float32)
        rows = rows.reshape(-1, 4)[:, : options.get("truncate_dim") or self.truncate_dim]
        return rows if convert_to_numpy else torch.from_numpy(rows)


class Bare(AbsEmbedder):
    """It takes nothing but what the contract names."""

    def encode_single_device(self, sentences, batch_size=256, max_length=None, convert_to_numpy=True, device=None):
        self.calls = getattr(self, "calls", 0) + 1
        return np.ones((len(sentences), 3), dtype=np.float32)


def model(kind=Counting, **options):
    return kind("toy", **{"devices": "cpu", "normalize_embeddings": False, **options})


INSTRUCTED = {
    "query_instruction_for_retrieval": "find",
    "query_instruction_format": "{}: {}",
    "passage_instruction_for_retrieval": "is ",
}


class TestEncode:
    @pytest.mark.parametrize(
        ("method", "twin"), [("encode_query", "encode_queries"), ("encode_document", "encode_corpus")]
    )
    @pytest.mark.parametrize("texts", ["abc", TEXTS, tuple(TEXTS), []], ids=str)
    def test_the_instructions_and_the_form(self, method, twin, texts):
        embedder = model(**INSTRUCTED)
        found, expected = getattr(embedder, method)(texts), getattr(embedder, twin)(texts)
        assert isinstance(found, np.ndarray)
        assert found.shape == ((4,) if isinstance(texts, str) else (len(texts), 4))
        assert np.array_equal(found, expected)
        if not isinstance(texts, str):
            assert np.array_equal(getattr(embedder, method)(iter(texts)), expected)

    @pytest.mark.parametrize("method", ["encode_query", "encode_document", "encode", "encode_queries", "encode_corpus"])
    @pytest.mark.parametrize(
        ("option", "given"),
        [
            ({"prompt": "P{}: "}, "P{}: abc"),
            ({"prompt": ""}, "abc"),
            ({"prompt_name": "query"}, "find: abc"),
            ({"prompt_name": "document"}, "is abc"),
            ({"prompt_name": "passage"}, "is abc"),
            ({"prompt_name": "STS"}, "same {}? abc"),
            ({"prompt": "P ", "prompt_name": "STS"}, "P abc"),
        ],
    )
    def test_prompts(self, method, option, given):
        embedder = model(**INSTRUCTED, prompts={"STS": "same {}? "})
        getattr(embedder, method)(["abc"], **option)
        assert embedder.given == [given]

    def test_without_a_prompt_the_instructions_count(self):
        embedder = model(**INSTRUCTED)
        embedder.default_instruction = "default "
        given = []
        for method in (embedder.encode_query, embedder.encode_document, embedder.encode):
            method("abc", prompt=None)
            given += embedder.given
        assert given == ["find: abc", "is abc", "default abc"]

    def test_a_prompt_that_nobody_named(self):
        message = (
            r"^prompt_name='SST' is none of this model's prompts: 'query', 'document', 'STS'\. Did you mean 'STS'\?$"
        )
        with pytest.raises(OptionError, match=message):
            model(prompts={"STS": "s"}).encode_query("a", prompt_name="SST")
        with pytest.raises(OptionError, match="prompt must be a string, not 5"):
            model().encode("a", prompt=5)
        with pytest.raises(OptionError, match=r"^give instruction= or prompt= \(prompt_name=\), not both\.$"):
            model().encode("a", instruction="i", prompt_name="query")

    def test_prompts_shows_them(self):
        embedder = model(**INSTRUCTED, prompts={"STS": "s"})
        assert embedder.prompts == {"query": "find: ", "document": "is ", "STS": "s"}
        assert model().prompts == {"query": "", "document": ""}
        embedder.query_instruction_for_retrieval = "seek"
        assert embedder.prompts["query"] == "seek: "

    @pytest.mark.parametrize(
        ("prompts", "message"),
        [
            ({"query": "q"}, "the prompt 'query' is said with query_instruction_for_retrieval='q'"),
            ({"passage": "p"}, "the prompt 'passage' is said with passage_instruction_for_retrieval='p'"),
            (["a"], "prompts are strings by name"),
            ({"a": 5}, "prompts are strings by name"),
        ],
    )
    def test_prompts_that_are_none(self, prompts, message):
        with pytest.raises(OptionError, match=message):
            model(prompts=prompts)

    @pytest.mark.parametrize(
        ("option", "kind", "form"),
        [
            ({}, np.ndarray, (3, 4)),
            ({"convert_to_tensor": True}, torch.Tensor, (3, 4)),
            ({"convert_to_tensor": True, "convert_to_numpy": False}, torch.Tensor, (3, 4)),
            ({"convert_to_tensor": True, "convert_to_numpy": True}, torch.Tensor, (3, 4)),
            ({"convert_to_tensor": False}, np.ndarray, (3, 4)),
        ],
    )
    @pytest.mark.parametrize("method", ["encode_query", "encode"])
    def test_what_comes_back(self, method, option, kind, form):
        found = getattr(model(), method)(TEXTS, **option)
        assert (type(found), tuple(found.shape)) == (kind, form)

    def test_a_list_of_tensors(self):
        rows = model().encode_query(TEXTS, convert_to_numpy=False)
        assert [type(row) for row in rows] == [torch.Tensor] * 3
        assert torch.equal(torch.stack(rows), model().encode(TEXTS, convert_to_numpy=False))
        assert isinstance(model().encode_query("a", convert_to_numpy=False), torch.Tensor)

    def test_the_setting_of_the_model_counts_where_nothing_is_said(self):
        assert isinstance(model(convert_to_numpy=False).encode_document(TEXTS), torch.Tensor)

    @pytest.mark.parametrize("tensor", [False, True])
    def test_length_one(self, tensor):
        rows = np.asarray(model().encode_query(TEXTS, normalize_embeddings=True, convert_to_tensor=tensor))
        raw = model().encode(TEXTS)
        assert np.abs(rows - raw / np.linalg.norm(raw, axis=1, keepdims=True)).max() <= 1e-7
        assert np.array_equal(model().encode_query(TEXTS, normalize_embeddings=False), raw)
        assert np.abs(np.linalg.norm(model().encode("a", normalize_embeddings=True)) - 1) <= 1e-6
        with pytest.raises(OptionError, match=r"^normalize_embeddings is True or False, not 'yes'\.$"):
            model().encode("a", normalize_embeddings="yes")

    def test_length_one_into_an_array(self):
        out = np.zeros((3, 4), np.float32)
        model().encode(iter(TEXTS), out=out, normalize_embeddings=True)
        assert np.abs(np.linalg.norm(out, axis=1) - 1).max() <= 1e-6

    def test_precision(self):
        assert model().encode(TEXTS, precision="ubinary").tolist() == [[128], [128], [128]]
        assert model().encode("a b", precision="binary").tolist() == [64]
        assert model().encode_query(TEXTS, precision="uint8")[:, 0].tolist() == [
            0,
            254,
            127,
        ]  # the largest is 254.99998 steps away, in float32
        assert model().encode(TEXTS, precision="int8", convert_to_tensor=True).dtype == torch.int8
        with pytest.raises(OptionError, match=r"^out= takes float vectors, and precision='binary' gives none\.$"):
            model().encode(TEXTS, precision="binary", out=np.zeros((3, 4), np.float32))

    @pytest.mark.parametrize("option", ["precision", "normalize_embeddings"])
    def test_what_is_for_vectors_only(self, option):
        class Several(Counting):
            def encode_single_device(self, sentences, **options):
                return {"vectors": [1.0] * len(sentences)}

            def first_row(self, rows):
                return rows

        with pytest.raises(
            OptionError, match=rf"^{option}= is for vectors, and this call gives a dict: leave it out\.$"
        ):
            model(Several).encode("a", **{option: {"precision": "binary"}.get(option, True)})

    @pytest.mark.parametrize(
        ("option", "message"),
        [
            ({"output_value": "token_embeddings"}, "output_value='token_embeddings' is not given here"),
            ({"output_value": None}, "output_value=None is not given here"),
            ({"pool": {}}, "pool= of sentence-transformers is not taken here. Name several devices when"),
            ({"chunk_size": 5}, "chunk_size= of sentence-transformers is not taken here"),
            ({"task": "query"}, r"task= of sentence-transformers is not taken here. encode_query\(\) and encode_docu"),
            ({"processing_kwargs": {}}, "Say max_length="),
            ({"device": ["cpu", "cpu"]}, r"device=\['cpu', 'cpu'\]: a call runs on one device. Name several devices"),
        ],
    )
    @pytest.mark.parametrize("method", ["encode_query", "encode_document", "encode"])
    def test_what_is_not_done_here_says_what_is(self, method, option, message):
        with pytest.raises(OptionError, match=message):
            getattr(model(), method)("a", **option)

    @pytest.mark.parametrize("method", ["encode_query", "encode_document", "encode"])
    def test_what_asks_for_nothing_reaches_no_author(self, method):
        """Every default of sentence-transformers, said."""
        parameters = inspect.signature(SentenceTransformer.encode).parameters.values()
        said = {
            parameter.name: parameter.default for parameter in parameters if parameter.default is not parameter.empty
        }
        assert len(said) == 13
        assert getattr(model(Bare), method)(TEXTS, **said).shape == (3, 3)

    @pytest.mark.parametrize(
        ("device", "given"), [("cpu", "cpu"), (torch.device("cpu"), "cpu"), (["cpu"], "cpu"), (None, "cpu")]
    )
    def test_one_device(self, device, given):
        embedder = model()
        embedder.encode_query("a", device=device)
        assert embedder.options["device"] == given

    def test_options_of_the_class_and_of_the_template(self):
        embedder = model()
        embedder.encode_query("a", None, None, 7, False, max_length=9, truncate_dim=2, flavour="sweet")
        assert embedder.options == {
            "batch_size": 7,
            "max_length": 9,
            "device": "cpu",
            "show_progress_bar": False,
            "truncate_dim": 2,
            "flavour": "sweet",
        }

    @pytest.mark.parametrize("method", ["encode_query", "encode_document"])
    @pytest.mark.parametrize(
        ("level", "said", "shown"),
        [
            (logging.INFO, None, True),
            (logging.DEBUG, None, True),
            (logging.WARNING, None, None),
            (logging.INFO, False, False),
            (logging.WARNING, True, True),
        ],
    )
    def test_progress_as_sentence_transformers_has_it(self, method, level, said, shown):
        logger = logging.getLogger("FlagEmbedding")
        before, embedder = logger.level, model()
        logger.setLevel(level)
        try:
            getattr(embedder, method)("a", show_progress_bar=said)
            assert embedder.options.get("show_progress_bar") is shown
            assert getattr(model(Bare), method)("a", show_progress_bar=said and None).shape == (3,)
        finally:
            logger.setLevel(before)

    def test_a_class_that_knows_no_bars(self):
        assert model(Bare).encode_query("a", show_progress_bar=False).shape == (3,)
        with pytest.raises(TypeError, match="show_progress_bar"):
            model(Bare).encode_query("a", show_progress_bar=True)

    @pytest.mark.parametrize("texts", [None, 5, [1]])
    def test_what_is_no_text(self, texts):
        with pytest.raises(InputError):
            model().encode_query(texts)


class TestSimilarity:
    def test_cosine_unless_it_is_said(self):
        embedder = model()
        rows = embedder.encode(TEXTS)
        assert embedder.similarity_fn_name == "cosine"
        assert torch.allclose(embedder.similarity(rows, rows).diagonal(), torch.ones(3))
        assert torch.allclose(embedder.similarity_pairwise(rows, rows), torch.ones(3))
        embedder.similarity_fn_name = "dot"
        assert torch.equal(embedder.similarity(rows, rows), torch.tensor(rows @ rows.T))
        assert embedder.similarity_pairwise(rows[0], rows[1]).item() == rows[0] @ rows[1]
        embedder.similarity_fn_name = None
        assert embedder.similarity_fn_name == "cosine"

    def test_by_the_constructor(self):
        assert model(similarity_fn_name="manhattan").similarity_fn_name == "manhattan"
        with pytest.raises(OptionError, match="not 'angle'"):
            model(similarity_fn_name="angle")
        with pytest.raises(OptionError, match="not 'angle'"):
            model().similarity_fn_name = "angle"


class TestDimension:
    METHODS = ("get_embedding_dimension", "get_sentence_embedding_dimension")

    @pytest.mark.parametrize("method", METHODS)
    def test_one_text_is_encoded_once(self, method):
        embedder = model(Bare)
        assert [getattr(embedder, method)() for _ in range(3)] == [3, 3, 3]
        assert embedder.calls == 1

    @pytest.mark.parametrize("method", METHODS)
    def test_a_class_that_knows_it_encodes_nothing(self, method):
        embedder = model(Bare)
        embedder.dimension = 1024
        assert getattr(embedder, method)() == 1024
        embedder.truncate_dim = 256
        assert getattr(embedder, method)() == 256
        embedder.truncate_dim = 4096
        assert getattr(embedder, method)() == 1024
        assert not hasattr(embedder, "calls")

    def test_truncation_counts(self):
        embedder = model(truncate_dim=2)
        assert embedder.get_embedding_dimension() == 2
        embedder.truncate_dim = None
        assert embedder.get_embedding_dimension() == 4

    def test_a_block_of_truncated_vectors(self):
        embedder = model()
        with embedder.truncate_embeddings(3):
            assert embedder.encode_query(TEXTS).shape == (3, 3)
        with pytest.raises(RuntimeError), embedder.truncate_embeddings(2):
            raise RuntimeError
        assert embedder.encode_query(TEXTS).shape == (3, 4)
        with (
            pytest.raises(OptionError, match="truncate_dim must be a positive number"),
            embedder.truncate_embeddings(0),
        ):
            pass


def test_lengths():
    embedder = model(query_max_length=5, passage_max_length=9)
    assert embedder.max_seq_length == 9
    embedder.max_seq_length = 7
    assert (embedder.query_max_length, embedder.passage_max_length) == (7, 7)
    with pytest.raises(OptionError, match="max_seq_length must be a positive number"):
        embedder.max_seq_length = 0


def test_the_device():
    assert model().device == torch.device("cpu")


def test_a_class_may_have_attributes_of_these_names():
    """Classes that were written before there were any of ours."""

    class Own(Bare):
        def __init__(self, *args, **kwargs):
            super().__init__(*args, **kwargs)
            self.device, self.prompts, self.dimension = "elsewhere", ["mine"], "unknown"

    embedder = model(Own)
    assert (embedder.device, embedder.prompts) == ("elsewhere", ["mine"])
    assert embedder.get_embedding_dimension() == 3


def test_a_copy_has_it_all():
    embedder = model(prompts={"STS": "s"}, similarity_fn_name="dot")
    again = pickle.loads(pickle.dumps(embedder))
    assert (again.prompts, again.similarity_fn_name) == (embedder.prompts, "dot")


def test_the_arguments_are_sentence_transformers_own():
    """In its order, as far as ours go by position."""
    for method in ("encode_query", "encode_document"):
        theirs = list(inspect.signature(getattr(SentenceTransformer, method)).parameters)
        ours = [name for name in inspect.signature(getattr(AbsEmbedder, method)).parameters if name != "kwargs"]
        assert ours == theirs[: len(ours)]
