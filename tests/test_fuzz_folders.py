"""Whatever is in a model folder: it loads and gives the right numbers, or one of our errors says what is wrong with it.

Each mutation of a good folder is drawn from a seed. FLAGEMBEDDING_FUZZ says how many a kind of model are tried, and
FLAGEMBEDDING_FUZZ_FROM with which seed to begin, so that one that failed can be tried alone.
"""

from __future__ import annotations

import contextlib
import os
import random
import resource
import shutil
import signal
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import folder_mutations
import numpy as np
import pytest
import torch
import transformers
from safetensors.torch import save_file
from sentence_transformers import CrossEncoder, SentenceTransformer

from FlagEmbedding import FlagAutoModel, FlagAutoReranker
from FlagEmbedding.errors import FlagEmbeddingError, InputError, OptionError

COUNT = int(os.environ.get("FLAGEMBEDDING_FUZZ", "44"))
FIRST = int(os.environ.get("FLAGEMBEDDING_FUZZ_FROM", "0"))
KINDS = ("bert", "pickled layers", "xlm-roberta", "roberta", "modernbert", "decoder", "reranker")

TEXTS = ["the river", "", "and all of the garden window paper letter", "zürich 東京"]
PAIRS = [("the river", "stone light"), ("", "garden"), ("one", "two " * 60)]
SECONDS = 10
ROOM = 4 * 2**30


class HangError(BaseException):
    """It took too long; no Exception, so that nobody takes it for a fault of the folder."""


@pytest.fixture(scope="module")
def folders(tiny: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good folder of each kind."""
    root = tmp_path_factory.mktemp("good")
    for kind in ("bert", "pickled layers", "xlm-roberta", "roberta", "modernbert"):
        folder = tiny.build(root / kind, "bert" if kind == "pickled layers" else kind)
        tiny.add_sentence_transformers_files(folder, "mean" if kind == "roberta" else "cls", 20)
        if kind in ("bert", "pickled layers"):
            add_dense(tiny, folder, pickled=kind == "pickled layers")
    tiny.build_decoder(root / "decoder", "qwen2", start=False)
    tiny.build_classifier(root / "reranker", "bert")
    return {kind: root / kind for kind in KINDS}


def add_dense(tiny: Any, folder: Path, *, pickled: bool) -> None:
    modules = [{"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"}]
    for index, kind in enumerate(["Pooling", "Dense", "Normalize"], 1):
        entry = {"idx": index, "name": str(index), "path": f"{index}_{kind}"}
        modules.append({**entry, "type": f"sentence_transformers.models.{kind}"})
    tiny.write_json(folder / "modules.json", modules)
    settings = {"in_features": 32, "out_features": 8, "bias": True, "activation_function": "torch.nn.Tanh"}
    tiny.write_json(folder / "2_Dense/config.json", settings)
    usage = {"prompts": {"query": "q: "}, "default_prompt_name": None, "similarity_fn_name": None, "truncate_dim": None}
    tiny.write_json(folder / "config_sentence_transformers.json", usage)
    generator = torch.Generator().manual_seed(7)
    weights = {
        "linear.weight": torch.randn(8, 32, generator=generator),
        "linear.bias": torch.randn(8, generator=generator),
    }
    if pickled:
        torch.save(weights, folder / "2_Dense/pytorch_model.bin")
    else:
        save_file(weights, folder / "2_Dense/model.safetensors", {"format": "pt"})


@pytest.fixture(autouse=True)
def _one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    """The numbers compared are those of a CPU."""
    for kind in ("cuda", "xpu", "backends.mps"):
        monkeypatch.setattr(f"torch.{kind}.is_available", lambda: False)


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Neither hang, nor take more memory than a tiny model could need."""

    def stop(*_: object) -> None:
        raise HangError

    pages = int(Path("/proc/self/statm").read_text().split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    handler = signal.signal(signal.SIGALRM, stop)
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + ROOM, before[1]))
    signal.alarm(SECONDS)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        signal.alarm(0)
        resource.setrlimit(resource.RLIMIT_AS, before)
        signal.signal(signal.SIGALRM, handler)


def numbers(kind: str, folder: Path) -> np.ndarray:
    if kind == "reranker":
        return np.array(FlagAutoReranker.from_finetuned(str(folder), devices="cpu").compute_score(PAIRS))
    model = FlagAutoModel.from_finetuned(str(folder), devices="cpu")
    model.default_instruction = None
    return model.encode(TEXTS)


def expected(kind: str, folder: Path) -> np.ndarray:
    """Return the numbers of sentence-transformers, or of transformers where it would have to guess."""
    if kind == "reranker":
        cross_encoder = CrossEncoder(str(folder), device="cpu", activation_fn=torch.nn.Identity())
        return cross_encoder.predict(PAIRS, show_progress_bar=False)
    if (folder / "modules.json").is_file():
        rows = SentenceTransformer(str(folder), device="cpu").encode(TEXTS, prompt="", show_progress_bar=False)
    else:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        model = transformers.AutoModel.from_pretrained(folder, dtype=torch.float32).eval()
        place = -1 if kind == "decoder" else 0
        end = [tokenizer.eos_token_id] if kind == "decoder" else []
        assert kind != "decoder" or not tokenizer("")["input_ids"]  # another end than ours
        ids = [[*tokenizer(text)["input_ids"], *end] for text in TEXTS]
        with torch.no_grad():
            rows = np.stack([model(torch.tensor([row])).last_hidden_state[0, place].numpy() for row in ids])
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def is_about_the_text(error: FlagEmbeddingError) -> bool:
    """Say whether a call failed on a text that has no token, or none within the length that the files state."""
    return isinstance(error, InputError) or (isinstance(error, OptionError) and "max_length" in str(error))


def check_refusal(error: FlagEmbeddingError, folder: Path) -> None:
    assert isinstance(error, (ValueError, RuntimeError))
    assert is_about_the_text(error) or str(folder) in str(error), f"the folder is not named: {error}"
    assert "memory" not in "".join(traceback.format_exception(error)).lower(), f"it took all the memory: {error}"


def outcome(kind: str, folder: Path, trap: Path) -> str:
    """Return how it ended; everything that must not be is an AssertionError."""
    try:
        with bounded():
            found = numbers(kind, folder)
    except FlagEmbeddingError as error:
        check_refusal(error, folder)
        return "refused"
    finally:
        assert not trap.exists(), "code was run"
    assert np.isfinite(found).all(), "not finite"
    try:
        with bounded(), np.errstate(all="ignore"):
            right = expected(kind, folder)
    except (Exception, HangError):  # noqa: BLE001 - whatever it cannot do
        return "loaded, and by nothing else"
    if not np.isfinite(right).all():
        return "loaded, and by nothing else"
    assert found.shape == right.shape, f"{found.shape} instead of {right.shape}"
    apart = np.abs(found - right).max() / max(1.0, np.abs(right).max())
    assert apart <= 1e-5, f"{apart} apart"
    return "loaded, and right"


@pytest.mark.parametrize("kind", KINDS)
def test_mutated_folders(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    outcomes: Counter[str] = Counter()
    failures = []
    for seed in range(FIRST, FIRST + COUNT):
        folder, trap = tmp_path / str(seed) / "model", tmp_path / f"sprung-{seed}"
        shutil.copytree(folders[kind], folder)
        others = [folders[other] for other in KINDS if other != kind]
        draw = random.Random(f"{kind} {seed}")
        mutation = folder_mutations.Mutation(draw, folder, others, trap)
        done = mutation.apply()
        # A second fault may hide code that would run; and whoever writes into a pipe waits for a reader.
        if draw.random() < 0.3 and not done.startswith(("pickle", "put_something_else")):
            with contextlib.suppress(Exception):  # what the first one left may be no ground for a second
                done += f", and {mutation.apply()}"
        try:
            outcomes[outcome(kind, folder, trap)] += 1
        except BaseException as error:
            if isinstance(error, (KeyboardInterrupt, SystemExit)):
                raise
            where = "".join(traceback.format_exception(error)[-3:])
            failures.append(f"seed {seed}: {done}\n{where}")
        shutil.rmtree(tmp_path / str(seed))
    print(f"{kind}: {dict(outcomes)}")  # noqa: T201
    assert not failures, f"{len(failures)} of {COUNT}:\n" + "\n".join(failures)
    assert COUNT < 20 or {"refused", "loaded, and right"} <= outcomes.keys()


@pytest.mark.parametrize("kind", KINDS)
def test_the_good_folders_are_good(kind: str, folders: dict[str, Path], tmp_path: Path) -> None:
    assert expected(kind, folders[kind]).shape[0] in (len(TEXTS), len(PAIRS))  # the comparison itself works
    assert outcome(kind, folders[kind], tmp_path / "sprung") == "loaded, and right"
