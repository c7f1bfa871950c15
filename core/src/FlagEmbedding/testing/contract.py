"""PluginContract: the whole contract of a plugin as tests, for its author to derive one class from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from FlagEmbedding.testing import catalogue, faults, instructions, registration, vectors, workers
from FlagEmbedding.testing.bench import Bench, build_checkpoint
from FlagEmbedding.testing.entries import (
    Entry,
    architecture_of,
    brings_its_class,
    entries_of,
    one_of_each_class,
    runs,
)


class PluginContract:
    """What every plugin must hold to, checked of each of its models on a tiny checkpoint of the model's architecture.

    A derived class whose name begins with ``Test`` is all that a plugin's ``test_contract.py`` needs::

        from FlagEmbedding.testing import PluginContract

        class TestAcme(PluginContract):
            plugin = "acme"

    Attributes:
        plugin: The name of the plugin's entry point.
        architectures: For models that are not of the architecture that the kit would take: patterns of their names
            (``"acme-*"``) to the ``model_type`` of their ``config.json``; the first that fits counts. Without it the
            type is one that the model's class was registered for, else ``"bert"``, or ``"mistral"`` where the pooling
            is that of the last token.
    """

    plugin: ClassVar[str]
    architectures: ClassVar[Mapping[str, str]] = {}

    def build(self, folder: Path, entry: Entry) -> None:
        """Write the tiny checkpoint of a model; override it where transformers lacks the architecture, say.

        Args:
            folder: An empty folder.
            entry: The model.

        Raises:
            LookupError: transformers has no such architecture.
        """
        build_checkpoint(folder, entry, architecture_of(entry, self.architectures))

    def query_text(self, entry: Entry, query: str) -> str:
        """Return what must reach the tokenizer for a query: override it where a class adds to the instruction.

        Args:
            entry: The model.
            query: The query, as a caller gives it.

        Returns:
            The text, byte for byte.
        """
        return instructions.query_text(entry, query)

    def passage_text(self, entry: Entry, passage: str) -> str:
        """Return what must reach the tokenizer for a passage, likewise.

        Args:
            entry: The model.
            passage: The passage, as a caller gives it.

        Returns:
            The text, byte for byte.
        """
        return instructions.passage_text(entry, passage)

    def pair_texts(self, entry: Entry, model: Any, query: str, passage: str) -> Sequence[str]:  # noqa: ARG002 - to override
        """Return the texts that must reach the tokenizer for a pair: those with the instructions of the class.

        Args:
            entry: The model.
            model: It, loaded.
            query: The query, as a caller gives it.
            passage: The passage, likewise.

        Returns:
            Query and passage, byte for byte.
        """
        pair: Sequence[str] = model.get_detailed_inputs([(query, passage)])[0]
        return pair

    @pytest.fixture
    def bench(self, tmp_path_factory: pytest.TempPathFactory) -> Bench:
        """The plugin's tiny checkpoints and models, each made once."""
        return _bench(type(self), tmp_path_factory)

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Let each check run for the models that it has something to say of."""
        for argument in _CASES.keys() & set(metafunc.fixturenames):
            chosen = self._cases(argument)
            none = pytest.param(None, marks=pytest.mark.skip(reason=f"{self.plugin!r} has no {_CASES[argument]}"))
            metafunc.parametrize(argument, [pytest.param(entry, id=entry.name) for entry in chosen] or [none])

    def _cases(self, argument: str) -> list[Entry]:
        listed = entries_of(self.plugin)
        running = runs(listed)
        return {
            "listed": listed,
            "entry": running,
            "ending": [entry for entry in running if entry.append_eos],
            "refused": [entry for entry in listed if entry not in running],
            "of_class": one_of_each_class(running),
            "own_class": one_of_each_class(entry for entry in running if brings_its_class(self.plugin, entry)),
        }[argument]

    def _expected(self, entry: Entry, model: Any) -> dict[str, Sequence[str]]:
        query, passage = instructions.QUERY, instructions.PASSAGE
        if not entry.is_embedder:
            return {"compute_score": self.pair_texts(entry, model, query, passage)}
        return {
            "encode_queries": [self.query_text(entry, query)],
            "encode_corpus": [self.passage_text(entry, passage)],
        }

    def test_is_active(self) -> None:
        """The plugin is found, and nothing in it failed."""
        registration.check_active(self.plugin)

    def test_hooks_import_no_torch(self) -> None:
        """Listing what the plugin registers imports neither torch nor transformers."""
        registration.check_light(self.plugin)

    def test_locator_leaves_other_models_alone(self) -> None:
        """A locator has no answer for a model that is not its own."""
        registration.check_locator()

    def test_classes(self) -> None:
        """The model classes are there, under their public names too."""
        registration.check_classes(self.plugin)

    def test_poolings(self) -> None:
        """The pooling functions give one vector a text, and read no padding."""
        registration.check_poolings(self.plugin)

    def test_catalogue(self, listed: Entry) -> None:
        """What the plugin says of a model holds together."""
        catalogue.check_entry(listed)

    def test_refuses(self, refused: Entry) -> None:
        """A model that is known not to run is refused with the reason."""
        catalogue.check_refused(refused)

    def test_loads(self, entry: Entry, bench: Bench) -> None:
        """A model loads by its name, and computes."""
        vectors.check_loads(entry, bench)

    def test_batches(self, entry: Entry, bench: Bench) -> None:
        """An answer does not depend on what is computed with it."""
        vectors.check_batches(entry, bench.model(entry))

    def test_order(self, entry: Entry, bench: Bench) -> None:
        """An answer comes back in the place of its input."""
        vectors.check_order(entry, bench.model(entry))

    def test_duplicates(self, entry: Entry, bench: Bench) -> None:
        """The same input, given twice in one call, has the same answer twice."""
        vectors.check_duplicates(entry, bench.model(entry))

    def test_instructions(self, entry: Entry, bench: Bench) -> None:
        """What reaches the tokenizer is the card's instruction and the text, byte for byte."""
        model = bench.model(entry)
        instructions.check_instructions(entry, model, self._expected(entry, model))

    def test_ending(self, ending: Entry, bench: Bench) -> None:
        """Each text ends in the token that its vector is read from."""
        model = bench.model(ending)
        instructions.check_ending(ending, model, self._expected(ending, model))

    def test_unknown_options(self, of_class: Entry, bench: Bench) -> None:
        """An option that nobody knows is refused by name."""
        faults.check_unknown_option(of_class, bench)

    def test_bad_input(self, of_class: Entry, bench: Bench) -> None:
        """What is no text, or no pair, is refused by its position."""
        faults.check_bad_input(of_class, bench.model(of_class))

    def test_missing_weights(self, of_class: Entry, bench: Bench, tmp_path: Path) -> None:
        """A checkpoint that lacks a weight is refused."""
        faults.check_missing_weights(of_class, bench, tmp_path)

    def test_close(self, of_class: Entry, bench: Bench) -> None:
        """A model may be closed, more than once, and answers as before afterwards."""
        workers.check_close(of_class, bench)

    def test_workers(self, own_class: Entry, bench: Bench) -> None:
        """Two workers give what one model gives; asked of classes that come with the plugin, once each."""
        workers.check_workers(own_class, bench)


_CASES = {
    "listed": "models",
    "entry": "model that runs",
    "ending": "model with append_eos",
    "refused": "model that is marked as unsupported",
    "of_class": "model that runs",
    "own_class": "model whose class comes with it",
}


_BENCHES: dict[type[PluginContract], Bench] = {}


def _bench(contract: type[PluginContract], factory: pytest.TempPathFactory) -> Bench:
    if contract not in _BENCHES:
        _BENCHES[contract] = Bench(contract().build, factory.mktemp("contract"))
    return _BENCHES[contract]
