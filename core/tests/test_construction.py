"""What reaches the constructor of a model class: all that the caller says, and of the catalogue what it takes."""

from __future__ import annotations

import pytest

from FlagEmbedding import AbsEmbedder, AbsReranker, EmbedderConfig, FlagAutoModel, FlagAutoReranker, RerankerConfig
from FlagEmbedding.construction import constructor_of
from FlagEmbedding.errors import ModelClassError, OptionError
from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING
from FlagEmbedding.inference.reranker.model_mapping import AUTO_RERANKER_MAPPING

pytestmark = pytest.mark.usefixtures("registering", "no_accelerator")


class Plain(AbsEmbedder):
    """The smallest class of all: it has no constructor."""

    def encode_single_device(self, sentences, batch_size=256, max_length=None, convert_to_numpy=True, device=None):
        raise NotImplementedError


class PassesOn(Plain):
    def __init__(self, *args, extra=1, **kwargs):
        super().__init__(*args, **kwargs)
        self.extra = extra


class TakesOut(Plain):
    """Takes the pooling out of what it is given, without a name in its signature."""

    def __init__(self, model, **kwargs):
        self.pooling_method = kwargs.pop("pooling_method", "its own")
        super().__init__(model, **kwargs)


class Names(Plain):
    def __init__(self, model, pooling_method="its own", trust_remote_code=None, **kwargs):
        super().__init__(model, **kwargs)
        self.pooling_method, self.trust_remote_code = pooling_method, trust_remote_code


class Closed(Plain):
    def __init__(self, model, batch_size=8):
        super().__init__(model, batch_size=batch_size)


class ClosedAndPooling(Plain):
    def __init__(self, model, pooling_method="its own", use_fp16=None):
        super().__init__(model)
        self.said = pooling_method, use_fp16


class Foreign:
    """No class of ours: it takes whatever it is given."""

    def __init__(self, *args, **options):
        self.args, self.options = args, options


class PlainReranker(AbsReranker):
    def compute_score_single_gpu(self, sentence_pairs, **kwargs):
        raise NotImplementedError


class ClosedReranker(PlainReranker):
    def __init__(self, model):
        super().__init__(model)


@pytest.fixture
def load():
    def loaded(model_class, options=None, /, **values):
        AUTO_EMBEDDER_MAPPING["acme"] = EmbedderConfig(model_class, "mean", hub_id="acme/acme", **values)
        return FlagAutoModel.from_finetuned("acme", **(options or {}))

    return loaded


@pytest.fixture
def load_reranker():
    def loaded(model_class, options=None, /, **values):
        AUTO_RERANKER_MAPPING["acme"] = RerankerConfig(model_class, hub_id="acme/acme", **values)
        return FlagAutoReranker.from_finetuned("acme", **(options or {}))

    return loaded


class TestOfTheCatalogue:
    @pytest.mark.parametrize("model_class", [Plain, PassesOn])
    def test_a_class_need_not_take_the_pooling(self, load, model_class):
        model = load(model_class, max_length=7)
        assert (type(model), model.model_name_or_path, model.passage_max_length) == (model_class, "acme/acme", 7)

    @pytest.mark.parametrize("model_class", [TakesOut, Names])
    def test_a_class_that_takes_it_gets_it(self, load, model_class):
        assert load(model_class).pooling_method == "mean"

    def test_remote_code(self, load):
        assert load(Names).trust_remote_code is False
        assert load(Names, trust_remote_code=True).trust_remote_code is True

    def test_a_closed_class_gets_what_it_names(self, load):
        assert load(Closed).batch_size == 8
        assert load(Closed, options={"batch_size": 3}).batch_size == 3

    def test_also_what_is_only_said_by_default(self, load):
        assert load(ClosedAndPooling).said == ("mean", True)

    def test_a_class_of_nobodys_gets_everything(self, load):
        model = load(Foreign)
        assert model.args == ("acme/acme",)
        assert model.options == {
            "normalize_embeddings": True,
            "use_fp16": True,
            "devices": None,
            "pooling_method": "mean",
            "trust_remote_code": False,
            "query_instruction_format": "{}{}",
        }

    @pytest.mark.parametrize("model_class", [Plain, PassesOn, Closed])
    @pytest.mark.parametrize(
        ("values", "name"),
        [({"trust_remote_code": True}, "trust_remote_code"), ({"is_causal": False}, "is_causal")],
    )
    def test_what_changes_vectors_is_never_left_out(self, load, model_class, values, name):
        with pytest.raises(OptionError, match=f"{model_class.__name__} .*'{name}'"):
            load(model_class, **values)

    def test_the_error_says_who_says_so(self, load):
        with pytest.raises(
            OptionError,
            match=r"^Closed takes no 'query_max_length' in its constructor, and the model's configuration says "
            r"query_max_length=7\. Known: batch_size, model\.$",
        ):
            load(Closed, max_length=7)


class TestOfTheCaller:
    @pytest.mark.parametrize("model_class", [Plain, PassesOn])
    @pytest.mark.parametrize(
        "option", [{"pooling_method": "mean"}, {"trust_remote_code": True}, {"extr": 1}, {"similarity": "dot"}]
    )
    def test_nothing_is_swallowed(self, load, model_class, option):
        with pytest.raises(OptionError, match=f"^{model_class.__name__} got an unknown option '{next(iter(option))}'"):
            load(model_class, option)

    @pytest.mark.parametrize(
        "option",
        [
            {"pooling_method": "mean"},
            {"normalize_embeddings": False},
            {"use_fp16": False},
            {"devices": "cpu"},
            {"x": 1},
        ],
    )
    def test_nor_by_a_closed_class(self, load, option):
        [(name, value)] = option.items()
        with pytest.raises(
            OptionError, match=f"takes no '{name}' in its constructor, and the caller says {name}={value!r}"
        ):
            load(Closed, option)

    def test_what_a_class_passes_on(self, load):
        model = load(PassesOn, {"extra": 5, "normalize_embeddings": False, "truncate_dim": 3})
        assert (model.extra, model.normalize_embeddings, model.truncate_dim) == (5, False, 3)

    def test_a_class_made_directly_refuses_as_ever(self):
        with pytest.raises(OptionError, match="Plain got an unknown option 'pooling_method'"):
            Plain("acme", pooling_method="mean")

    def test_what_one_class_need_not_take_counts_for_no_other(self, load):
        class Outer(PassesOn):
            def __init__(self, *args, **kwargs):
                with pytest.raises(OptionError, match="Plain got an unknown option 'pooling_method'"):
                    Plain("inner", pooling_method="cls")
                super().__init__(*args, **kwargs)

        assert load(Outer).extra == 1


class TestRerankers:
    @pytest.mark.parametrize("model_class", [PlainReranker, ClosedReranker])
    def test_a_class_need_not_take_what_is_said_by_default(self, load_reranker, model_class):
        assert type(load_reranker(model_class)) is model_class
        assert type(load_reranker(model_class, {"trust_remote_code": False})) is model_class

    @pytest.mark.parametrize("model_class", [PlainReranker, ClosedReranker])
    def test_remote_code_is_never_left_out(self, load_reranker, model_class):
        with pytest.raises(OptionError, match="'trust_remote_code'"):
            load_reranker(model_class, trust_remote_code=True)
        with pytest.raises(OptionError, match="'trust_remote_code'"):
            load_reranker(model_class, {"trust_remote_code": True})

    def test_a_class_of_nobodys_gets_everything(self, load_reranker):
        options = load_reranker(Foreign, max_length=5).options
        assert options == {"use_fp16": False, "trust_remote_code": False, "max_length": 5}


def test_what_is_no_class(load):
    with pytest.raises(ModelClassError, match="is no class, so it is no model class"):
        load("json:loads")


class Base:
    def __init__(self, one, *positional, two=2, **rest):
        pass


class Middle(Base):
    pass


class Derived(Middle):
    def __init__(self, one, three, /, four, *, five=5, **rest):
        pass


class Stops(Derived):
    def __init__(self, six):
        pass


@pytest.mark.parametrize(
    ("model_class", "names", "is_open"),
    [
        (Derived, {"five", "four", "one", "two"}, True),
        (Middle, {"one", "two"}, True),
        (Stops, {"six"}, False),
        (object, set(), False),
    ],
)
def test_what_a_constructor_takes(model_class, names, is_open):
    found = constructor_of(model_class)
    assert (found.names, found.open) == (names, is_open)
