"""The layers after the pooling, from folders written by hand: what they compute, and what is wrong with a folder."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch.nn import functional

from FlagEmbedding import FlagModel
from FlagEmbedding.engine.checkpoint import Checkpoint
from FlagEmbedding.engine.projection import as_modules, load_projection
from FlagEmbedding.errors import CheckpointError, OptionError

GENERATOR = torch.Generator().manual_seed(1)
ROWS = torch.randn(5, 6, generator=GENERATOR)
WEIGHTS = {"linear.weight": torch.randn(4, 6, generator=GENERATOR), "linear.bias": torch.randn(4, generator=GENERATOR)}
SETTINGS = {"in_features": 6, "out_features": 4, "bias": True, "activation_function": "torch.nn.Identity"}
NORM = {"norm.weight": torch.randn(6, generator=GENERATOR), "norm.bias": torch.randn(6, generator=GENERATOR)}


@pytest.fixture
def write(tmp_path):
    """Return a function that writes the folder of a layer, and gives the model's."""

    def written(settings=SETTINGS, weights=WEIGHTS, name="2_Dense"):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        (folder / "config.json").write_text(settings if isinstance(settings, str) else json.dumps(settings))
        if weights is not None:
            save_file(weights, folder / "model.safetensors")
        return tmp_path

    return written


def load(folder: Path, *modules, width=6):
    return load_projection(Checkpoint(str(folder)), modules or [("Dense", "2_Dense")], width)


def dense(rows, weights=WEIGHTS):
    return functional.linear(rows, weights["linear.weight"], weights.get("linear.bias"))


class TestWhatIsComputed:
    def test_no_layer_changes_nothing(self, tmp_path):
        projection = load_projection(Checkpoint(str(tmp_path)), [], 6)
        assert (projection.given, projection.dimension) == (6, 6)
        assert projection(ROWS) is ROWS

    def test_dense(self, write):
        projection = load(write())
        assert (projection.given, projection.dimension) == (6, 4)
        assert torch.equal(projection(ROWS), dense(ROWS))

    def test_dense_without_bias(self, write):
        weights = {"linear.weight": WEIGHTS["linear.weight"]}
        found = load(write({**SETTINGS, "bias": False}, weights))(ROWS)
        assert torch.equal(found, dense(ROWS, weights))

    def test_the_activation_is_tanh_where_none_is_named(self, write):
        found = load(write({"in_features": 6, "out_features": 4}))(ROWS)
        assert torch.equal(found, dense(ROWS).tanh())

    @pytest.mark.parametrize("module", ["torch.nn", "torch.nn.modules.activation"])
    def test_an_activation_with_a_weight(self, write, module):
        weights = {**WEIGHTS, "activation_function.weight": torch.tensor([0.7])}
        found = load(write({**SETTINGS, "activation_function": f"{module}.PReLU"}, weights))(ROWS)
        assert torch.equal(found, functional.prelu(dense(ROWS), torch.tensor([0.7])))

    def test_order(self, write):
        write(settings={"dimension": 6}, weights=NORM, name="3_LayerNorm")
        found = load(write(), ("LayerNorm", "3_LayerNorm"), ("Normalize", "nowhere"), ("Dense", "2_Dense"))
        normed = functional.layer_norm(ROWS, (6,), NORM["norm.weight"], NORM["norm.bias"])
        assert torch.equal(found(ROWS), dense(functional.normalize(normed, dim=-1)))

    def test_half_precision_weights_are_computed_with_in_float32(self, write):
        found = load(write(weights={name: weight.half() for name, weight in WEIGHTS.items()}))(ROWS)
        assert found.dtype == torch.float32
        assert torch.equal(found, dense(ROWS, {name: weight.half().float() for name, weight in WEIGHTS.items()}))

    def test_nothing_is_trained_and_no_random_number_is_taken(self, write):
        before = torch.get_rng_state()
        projection = load(write())
        assert torch.equal(torch.get_rng_state(), before)
        assert [parameter.requires_grad for parameter in projection.parameters()] == [False, False]
        assert not projection.training


class TestPickledWeights:
    def pickled(self, folder, content):
        (folder / "2_Dense/model.safetensors").unlink()
        torch.save(content, folder / "2_Dense/pytorch_model.bin")
        return folder

    def test_they_are_read_where_there_is_no_safetensors_file(self, write):
        assert torch.equal(load(self.pickled(write(), WEIGHTS))(ROWS), dense(ROWS))

    def test_safetensors_go_first(self, write):
        folder = write()
        torch.save({}, folder / "2_Dense/pytorch_model.bin")
        assert torch.equal(load(folder)(ROWS), dense(ROWS))

    def test_code_in_them_is_not_run(self, write, tmp_path):
        class Harmful:
            def __reduce__(self):
                return (Path.touch, (tmp_path / "was here",))

        folder = self.pickled(write(), {"linear.weight": Harmful()})
        with pytest.raises(CheckpointError, match=r"2_Dense/pytorch_model\.bin of .*holds code, which is") as caught:
            load(folder)
        assert "weights_only" not in str(caught.value)  # torch advises to load it without the safeguard
        assert isinstance(caught.value.__cause__, pickle.UnpicklingError)
        assert not (tmp_path / "was here").exists()

    @pytest.mark.parametrize("content", [[1], {"linear.weight": 3}, torch.ones(2)])
    def test_anything_but_tensors_by_name_is_refused(self, write, content):
        with pytest.raises(CheckpointError, match="it holds no mapping of names to tensors"):
            load(self.pickled(write(), content))

    @pytest.mark.parametrize("change", [torch.Tensor.long, torch.Tensor.to_sparse])
    def test_tensors_that_are_no_weights_are_refused(self, write, change):
        folder = write()
        weights = load_file(folder / "2_Dense/model.safetensors")
        self.pickled(folder, {**weights, "linear.weight": change(weights["linear.weight"])})
        with pytest.raises(CheckpointError, match=r"linear\.weight is a tensor of .*, and no plain floating-point one"):
            load(folder)


@pytest.mark.parametrize(
    "modules", [5, "Dense", ["Dense"], [("Dense",)], [("Dense", 5)], [("Dense", "a", "b")], [None]]
)
def test_modules_that_are_none_are_refused(modules):
    with pytest.raises(OptionError, match=r"^modules are pairs of a class and a folder"):
        as_modules(modules)


def test_modules_in_any_row():
    assert as_modules([["Dense", "2_Dense"]]) == as_modules(iter([("Dense", "2_Dense")])) == (("Dense", "2_Dense"),)
    assert as_modules(()) == ()


class TestFaults:
    @pytest.mark.parametrize(
        ("change", "message"),
        [
            (lambda weights: weights.pop("linear.bias"), r"1 missing \(linear.bias\)"),
            (lambda weights: weights.update(more=torch.ones(1)), r"1 unexpected \(more\)"),
            (
                lambda weights: weights.update({"linear.weight": torch.ones(6, 4)}),
                r"1 of another shape \(linear.weight \(6, 4\) instead of \(4, 6\)\)",
            ),
        ],
    )
    def test_weights_that_do_not_fit(self, write, change, message):
        weights = dict(WEIGHTS)
        change(weights)
        with pytest.raises(
            CheckpointError, match=rf"the weights of '.*/2_Dense' do not fit its config\.json: {message}"
        ):
            load(write(weights=weights))

    def test_no_weights(self, write):
        with pytest.raises(
            CheckpointError, match=r"has no weights for 2_Dense \(neither model.safetensors nor pytorch"
        ):
            load(write(weights=None))

    def test_damaged_weights(self, write):
        folder = write()
        path = folder / "2_Dense/model.safetensors"
        path.write_bytes(path.read_bytes()[:-9])
        with pytest.raises(CheckpointError, match="are damaged"):
            load(folder)

    @pytest.mark.parametrize(
        ("settings", "message"),
        [
            ({**SETTINGS, "in_features": None}, "should say a positive number as in_features, not None"),
            ({**SETTINGS, "out_features": -4}, "should say a positive number as out_features, not -4"),
            ({**SETTINGS, "bias": 1}, "should say true or false as bias, not 1"),
            ({**SETTINGS, "activation_function": None}, "should say a name as activation_function, not None"),
            ({**SETTINGS, "scale": 2}, "says scale=2, which is not known here"),
            (
                {**SETTINGS, "module_input_name": "token_embeddings"},
                "should say 'sentence_embedding' as module_input_name, not 'token_embeddings'",
            ),
            (
                {**SETTINGS, "module_output_name": "token_embeddings"},
                "should say 'sentence_embedding' as module_output_name, not 'token_embeddings'",
            ),
            ({}, "should say a positive number as in_features, not None"),
            ("[1]", "cannot be loaded"),
            ("{", "cannot be loaded"),
        ],
    )
    def test_settings(self, write, settings, message):
        with pytest.raises(CheckpointError, match=rf"2_Dense/config\.json of .*{message}"):
            load(write(settings))

    def test_a_normalisation_of_tokens(self, write):
        folder = write({"module_input_name": "token_embeddings"}, name="2_Normalize")
        with pytest.raises(CheckpointError, match=r"2_Normalize/config\.json of .*'sentence_embedding' as module_in"):
            load(folder, ("Normalize", "2_Normalize"))

    def test_the_vectors_of_texts_by_their_name(self, write):
        names = {"module_input_name": "sentence_embedding", "module_output_name": "sentence_embedding"}
        folder = write({**SETTINGS, **names})
        write(names, None, "3_Normalize")
        found = load(folder, ("Dense", "2_Dense"), ("Normalize", "3_Normalize"))(ROWS)
        assert torch.equal(found, functional.normalize(dense(ROWS), dim=-1))

    @pytest.mark.parametrize(
        "name",
        [
            "os.system",
            "torch.nn.modules.activation.MultiheadAttention",
            "torch.nn.functional.tanh",
            "torch.nn.Bilinear",
            "torch.nn.modules.os.system",
            "Tanh",
            "custom.Tanh",
        ],
    )
    def test_an_activation_that_is_not_known_is_not_imported(self, write, name):
        with pytest.raises(CheckpointError, match=f"has the activation '{name}', which is not one of torch.nn's"):
            load(write({**SETTINGS, "activation_function": name}))

    @pytest.mark.parametrize("width", [5, 12])
    def test_widths_that_do_not_fit(self, write, width):
        with pytest.raises(CheckpointError, match=f"takes vectors of 6 dimensions, and what comes before .* {width}"):
            load(write(), width=width)

    def test_a_layer_that_is_not_known(self, tmp_path):
        with pytest.raises(OptionError, match=r"modules= names 'CNN' in '2_CNN'; known are"):
            load(tmp_path, ("CNN", "2_CNN"))


def test_an_embedder_with_layers_can_be_copied_and_reports_its_dimension(write, folder, tmp_path):
    weights = {"linear.weight": torch.randn(4, 64, generator=GENERATOR), "linear.bias": torch.ones(4)}
    (folder / "2_Dense").mkdir()
    save_file(weights, folder / "2_Dense/model.safetensors")
    (folder / "2_Dense/config.json").write_text(json.dumps({**SETTINGS, "in_features": 64}))
    model = FlagModel(str(folder), pooling_method="mean+max", modules=[("Dense", "2_Dense")], devices="cpu")
    copy = pickle.loads(pickle.dumps(model))
    assert model.dimension == copy.dimension == 4
    assert model.encode("the river").tolist() == copy.encode("the river").tolist()
    with pytest.raises(OptionError, match="truncate_dim=5 is more than the 4 dimensions"):
        model.encode("the river", truncate_dim=5)
    assert load_file(folder / "2_Dense/model.safetensors").keys() == weights.keys()
