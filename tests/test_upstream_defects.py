"""What the package FlagEmbedding on PyPI (1.4) gets wrong, row by row, and the tests that hold what is right here.

A row names its tests; those that are nobody else's business stand at the end of this file. A name that is no test any
more fails here, so that no row can lose its test unnoticed.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from FlagEmbedding import FlagAutoModel, FlagAutoReranker, FlagModel
from FlagEmbedding.errors import FlagEmbeddingError
from FlagEmbedding.inference.embedder.model_mapping import AUTO_EMBEDDER_MAPPING
from FlagEmbedding.registry.mapping import EMBEDDERS, RERANKERS

ROOT = Path(__file__).resolve().parent.parent
SOURCES = [*ROOT.glob("core/src/**/*.py"), *ROOT.glob("plugins/*/src/**/*.py")]

CORE, HERE = "core/tests/", "tests/test_upstream_defects.py"
ABC, ENGINE, INFERENCE, RERANKER = f"{CORE}abc/", f"{CORE}engine/", f"{CORE}inference/", f"{CORE}inference/reranker/"
POOL, FAILURES, PROGRAMS = (f"{ENGINE}workers/test_{name}.py" for name in ("pool", "failures", "programs"))
BGE = "plugins/bge/tests/"

# What is wrong there: the tests of what is right here, as file::test.
ROWS = {
    "the first batch is run twice, by a probe for the batch size": [
        f"{ENGINE}test_runner.py::test_one_text_costs_one_forward",
        f"{INFERENCE}test_options.py::test_no_forward_more_than_needed",
        f"{RERANKER}test_encoder_options.py::test_no_forward_more_than_needed",
    ],
    "that probe takes every error for a lack of memory, and hides it; later batches are not tried again": [
        f"{ENGINE}test_runner.py::test_an_error_of_the_model_comes_out_as_it_is_after_one_attempt",
        f"{ENGINE}test_runner.py::test_other_errors_are_not_taken_for_a_lack_of_memory",
        f"{ENGINE}test_runner.py::test_a_batch_that_does_not_fit_is_tried_in_halves_and_later_runs_remember",
        f"{ENGINE}test_runner.py::test_one_text_that_does_not_fit_is_the_end",
    ],
    "a worker that raises dies silently, the parent waits for ever, the dead pool is used again": [
        f"{FAILURES}::test_an_exception_arrives_as_it_was_raised_and_says_where",
        f"{FAILURES}::test_without_another_one_a_new_one_does_it",
        f"{ABC}test_on_devices.py::test_an_error_in_a_worker_is_the_callers",
    ],
    "after an interruption an old result is returned as a new one": [
        f"{FAILURES}::test_an_interruption_kills_who_is_busy_and_keeps_who_is_not",
        f"{FAILURES}::test_an_exception_does_not_wait_for_the_others_nor_leave_their_results",
        f"{PROGRAMS}::test_control_c",
    ],
    "one pair starts the whole pool": [
        f"{ABC}test_on_devices.py::test_few_texts_start_nothing",
        f"{ABC}test_on_devices.py::test_one_device_starts_nothing",
    ],
    "several layers are put together on the wrong axis across devices": [
        f"{ABC}test_on_devices.py::test_scores_come_back_in_order_also_layer_by_layer",
        "tests/test_two_workers.py::test_several_layers_are_joined_layer_by_layer",
    ],
    "set_examples() never reaches live workers; queries after a corpus start them all anew": [
        "tests/test_two_workers.py::test_the_examples_of_a_task_reach_live_workers",
        f"{ABC}test_on_devices.py::test_settings_travel_with_the_task",
        f"{POOL}::test_workers_are_started_by_the_first_call_and_kept",
    ],
    "unknown arguments become attributes: device=, typos, attn_implementation": [
        f"{ABC}test_embedder.py::test_device_is_another_word_for_devices",
        f"{ABC}test_reranker.py::test_device_is_another_word_for_devices",
        f"{INFERENCE}test_options.py::test_an_unknown_option_of_the_constructor",
        f"{INFERENCE}test_options.py::test_an_unknown_option_of_a_call",
        f"{RERANKER}test_encoder_options.py::test_an_unknown_option_of_a_call",
        f"{INFERENCE}test_vectors.py::test_attention_of_the_callers_choice",
    ],
    "[0, 'cuda:1'] becomes cuda:cuda:1, [] an IndexError, torch.device is rejected": [
        f"{ENGINE}test_devices.py::test_each_way_to_name_devices",
        f"{ENGINE}test_devices.py::test_what_is_no_device_here",
        f"{INFERENCE}test_programs.py::test_devices_in_every_spelling",
    ],
    "on a CPU weights go through fp16, and differ from the checkpoint's": [
        f"{ENGINE}test_precision.py::test_half_precision_is_for_accelerators",
        f"{INFERENCE}test_vectors.py::test_use_fp16_is_for_accelerators",
    ],
    "rerankers load in fp32 and halve at the first call": [
        f"{ENGINE}test_checkpoint.py::test_it_has_the_dtype_asked_for",
        f"{RERANKER}test_decoder.py::test_bfloat16_on_a_cpu_when_asked_for",
    ],
    "lightweight: says fp16 and runs fp32, sys.exit() in a library, a print that fails": [
        f"{BGE}test_lightweight.py::test_half_precision",
        "tests/test_house.py::test_the_library_prints_nothing_and_never_ends_the_process",
    ],
    "use_dataloader=True is an AttributeError, and trusts the code of the checkpoint": [
        f"{RERANKER}test_decoder_options.py::test_worker_processes_are_not_needed_and_may_be_asked_for",
        f"{BGE}test_layerwise.py::test_code_of_a_checkpoint_never_runs",
    ],
    "whatever goes wrong, another model class is tried": [
        f"{HERE}::test_a_lack_of_memory_while_loading_is_passed_on",
        f"{INFERENCE}test_faulty_checkpoints.py::test_no_such_folder",
        f"{INFERENCE}test_faulty_checkpoints.py::test_a_hub_id_without_a_network",
    ],
    "logits of the whole vocabulary at every position, to read one": [
        f"{RERANKER}test_decoder.py::test_no_other_row_of_the_vocabulary_is_computed",
    ],
    "m3 scores every query with every passage and takes the diagonal; NaN for weights [0, 0, 1]": [
        f"{BGE}test_m3_pairs.py::test_each_text_is_encoded_once",
        f"{BGE}test_m3_pairs.py::test_order_repetition_and_chunks_do_not_matter",
        f"{BGE}test_m3_pairs.py::test_no_weights",
    ],
    "m3 without its heads gets random ones": [
        f"{BGE}test_m3_heads.py::test_missing_heads_are_missed_only_when_asked_for",
    ],
    "a head of two labels gives wrong scores in silence": [
        f"{RERANKER}test_encoder_checkpoints.py::test_several_labels_are_no_score",
    ],
    "encode([]) and compute_score([]) raise": [
        f"{INFERENCE}test_inputs.py::test_no_texts_give_no_rows",
        f"{RERANKER}test_encoder.py::test_no_pairs_give_no_scores",
        f"{RERANKER}test_decoder.py::test_no_pairs_give_no_scores",
    ],
    "instruction= without a format is a TypeError": [
        f"{ABC}test_embedder.py::test_encode_takes_an_instruction_of_its_own",
    ],
    "names: a trailing slash leaves nothing, a snapshot of the hub its hash, and case counts": [
        f"{CORE}registry/test_names.py::test_other_ways_to_write_it",
        f"{CORE}registry/test_names.py::test_a_registered_name_is_found_behind_any_path_and_before_any_slashes",
    ],
    "model_class= skips what is known of the model": [
        f"{CORE}registry/test_resolution.py::test_model_class_replaces_the_class_and_nothing_else",
        f"{CORE}registry/test_resolution.py::test_model_class_for_a_detected_model",
    ],
    "gte's and jina's rerankers: refused, or random weights in silence": [
        "plugins/gte/tests/test_reranker.py::test_the_scores_are_right",
        "plugins/gte/tests/test_reranker.py::test_a_weight_that_is_missing_is_named",
        "plugins/jina/tests/test_catalog.py::test_loading_says_why_not_and_what_instead",
    ],
    "E5 gets no 'query: ' and no 'passage: '": [
        "plugins/e5/tests/test_catalog.py::test_instructions",
        "tests/test_every_name.py::test_the_vectors_are_what_the_card_means",
    ],
    "with transformers 5 texts do not end in the token that their vector is read from": [
        f"{INFERENCE}test_decoders.py::test_vectors_end_in_the_token_that_the_settings_ask_for",
        f"{INFERENCE}test_decoders.py::test_an_ending_that_the_tokenizer_does_not_give_is_refused",
    ],
    "the import brings datasets, pandas, peft and the Trainer": ["tests/test_laziness.py::test_imports_nothing_heavy"],
    "encoder rerankers write their ids out as text and tokenise it again, pair by pair": [
        f"{ENGINE}test_pair_tokens.py::test_each_different_text_is_tokenised_once",
    ],
    "truncation is switched on a shared tokenizer: 'Already borrowed' with threads": [
        f"{ENGINE}test_tokenizing.py::test_threads_with_lengths_of_their_own",
        f"{ENGINE}test_pair_tokens.py::test_threads_with_lengths_of_their_own",
        f"{INFERENCE}test_invariance.py::test_threads_that_share_a_model",
    ],
    "a missing weight is replaced by random numbers": [
        f"{INFERENCE}test_faulty_checkpoints.py::test_a_faulty_folder",
        f"{RERANKER}test_encoder_checkpoints.py::test_every_weight_counts",
    ],
    "a folder that is merely named gte-base-en-v1.5 runs the Python code inside it": [
        f"{HERE}::test_a_folder_of_a_known_name_runs_no_code",
        f"{HERE}::test_not_even_where_the_registered_model_needs_code",
        f"{INFERENCE}test_faulty_checkpoints.py::test_a_name_of_a_registered_model_makes_no_folder_trusted",
        "plugins/gte/tests/test_remote_code.py::test_the_trap_can_snap",
    ],
    "after a worker is killed the call hangs for ever, and so does the next": [
        f"{FAILURES}::test_what_a_dead_worker_had_to_do_is_done_by_another",
        f"{FAILURES}::test_a_worker_that_died_between_two_calls",
        f"{FAILURES}::test_workers_killed_at_random",
    ],
    "a folder without tokenizer files loads": [f"{INFERENCE}test_faulty_checkpoints.py::test_a_faulty_folder"],
    "NaN becomes 0 in silence": [
        f"{INFERENCE}test_not_finite.py::test_vectors_that_are_no_numbers_are_an_error",
        f"{INFERENCE}test_not_finite.py::test_scores_that_are_no_numbers_are_an_error",
        f"{BGE}test_pseudo_moe.py::test_what_is_not_finite_is_an_error",
    ],
    "two tokens that read alike overwrite each other; a list of one becomes a dict": [
        f"{BGE}test_m3_scores.py::test_ids_become_tokens_and_the_larger_weight_stays",
        f"{BGE}test_m3_pairs.py::test_a_list_of_one_pair_gives_lists",
    ],
    "the loop that tokenises, sorts and encodes exists nine times": [f"{HERE}::test_there_is_one_loop_over_batches"],
    # What its users suffer from, beside these.
    "all accelerators are taken, for whatever work": [
        f"{ABC}test_on_devices.py::test_devices_that_nobody_named_are_touched_when_the_rest_takes_long",
    ],
    "exceptions at the end of the program, from __del__": [
        f"{HERE}::test_nothing_has_a_finaliser",
        f"{PROGRAMS}::test_a_program_ends_in_silence",
    ],
    "memory grows, and nothing gives it back": [
        f"{ABC}test_on_devices.py::test_close_ends_the_workers_and_not_the_model",
        f"{ABC}test_on_devices.py::test_a_model_that_is_dropped_takes_its_workers_along",
        f"{FAILURES}::test_deaths_leave_no_file_open",
    ],
    "results differ from sentence-transformers', and by batch": [
        "tests/test_sentence_transformers_files.py::test_modules",
        f"{INFERENCE}test_invariance.py::test_company_batch_size_and_order",
    ],
    "the factory rejects local and fine-tuned models": [
        f"{CORE}registry/test_detection.py::test_everything_that_the_files_say",
        f"{CORE}registry/test_resolution.py::test_another_folder_is_detected",
    ],
    "no loading without a network": [f"{CORE}test_hub.py::test_a_repository_in_the_cache"],
    "progress bars cannot be switched off": [f"{INFERENCE}test_options.py::test_silence"],
    "a float for one pair, a list for two": [f"{RERANKER}test_encoder.py::test_one_pair_gives_a_list_of_one"],
}


@pytest.mark.parametrize("row", ROWS)
def test_each_row_has_its_tests(row: str) -> None:
    gone = [name for name in ROWS[row] if not exists(*name.split("::"))]
    assert gone == []
    assert ROWS[row]


def exists(file: str, test: str) -> bool:
    path = ROOT / file
    return path.is_file() and re.search(rf"^ *def {test}\(", path.read_text(encoding="utf-8"), re.MULTILINE) is not None


def test_a_name_that_is_no_test_is_noticed() -> None:
    assert exists(HERE, "test_a_name_that_is_no_test_is_noticed")
    assert not exists(HERE, "test_a_name_that_is_no")
    assert not exists("tests/test_nothing.py", "test_each_row_has_its_tests")


def test_a_lack_of_memory_while_loading_is_passed_on(
    checkpoint: Any, monkeypatch: pytest.MonkeyPatch, tiny: Any, tmp_path: Path
) -> None:
    """Neither taken for a fault of the files, nor a reason to try another class."""
    tried = []

    def load(*_: object, **__: object) -> None:
        tried.append(1)
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(transformers.AutoModel, "from_pretrained", load)
    with pytest.raises(torch.OutOfMemoryError):
        FlagModel(str(checkpoint("modernbert")), devices="cpu")
    assert tried == [1]


def test_there_is_one_loop_over_batches() -> None:
    planning = [path.name for path in SOURCES if re.search(r"^from .*planner import", path.read_text(), re.MULTILINE)]
    running = [path.name for path in SOURCES if re.search(r"\._room\.plan\(", path.read_text())]
    assert (planning, running) == (["room.py"], ["runner.py"])


def test_nothing_has_a_finaliser() -> None:
    assert [path.name for path in SOURCES if "__del__" in path.read_text(encoding="utf-8")] == []


CODE = """
from pathlib import Path
Path({trap!r}).touch()
class Evil:
    pass
"""
AUTO_MAP = dict.fromkeys(("AutoConfig", "AutoModel", "AutoModelForSequenceClassification"), "code.Evil")
TOKENIZER_MAP = {"AutoTokenizer": ["code.Evil", "code.Evil"], "AutoProcessor": "code.Evil"}
KNOWN = [
    *("gte-base-en-v1.5", "gte-Qwen2-7B-instruct", "gte-multilingual-base", "bge-multilingual-gemma2", "bge-m3"),
    *("bge-base-en-v1.5", "e5-mistral-7b-instruct", "SFR-Embedding-Mistral", "Qwen3-Embedding-0.6B"),
    *("bge-reranker-v2-m3", "bge-reranker-v2-minicpm-layerwise", "gte-multilingual-reranker-base"),
]


@pytest.fixture
def armed(checkpoint: Any, tiny: Any, tmp_path: Path) -> Any:
    """Return a function that writes a folder of a name with code in it, and the file that this code would create."""

    def write(name: str, model_type: str) -> tuple[Path, Path]:
        folder, trap = tmp_path / name, tmp_path / "sprung"
        shutil.copytree(checkpoint("bert"), folder)
        (folder / "code.py").write_text(CODE.format(trap=str(trap)))
        tiny.change_json(folder / "config.json", auto_map=AUTO_MAP, custom_pipelines={"x": {"impl": "code.Evil"}})
        tiny.change_json(folder / "config.json", model_type=model_type)
        tiny.change_json(folder / "tokenizer_config.json", auto_map=TOKENIZER_MAP)
        for file in ("processor_config.json", "preprocessor_config.json", "generation_config.json"):
            tiny.write_json(folder / file, {"auto_map": {**TOKENIZER_MAP, "AutoImageProcessor": "code.Evil"}})
        (folder / "custom_generate").mkdir()
        shutil.copy(folder / "code.py", folder / "custom_generate/generate.py")
        return folder, trap

    return write


@pytest.mark.parametrize("model_type", ["bert", "new", "strange"])
@pytest.mark.parametrize("name", KNOWN)
def test_a_folder_of_a_known_name_runs_no_code(armed: Any, name: str, model_type: str) -> None:
    assert name in {**EMBEDDERS, **RERANKERS}
    folder, trap = armed(name, model_type)
    for load in (FlagAutoModel.from_finetuned, FlagAutoReranker.from_finetuned):
        try:
            load(str(folder), devices="cpu")
        except FlagEmbeddingError as error:
            assert str(error)  # noqa: PT017 - which of them load is not the question
    assert not trap.exists()


def test_not_even_where_the_registered_model_needs_code(armed: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = AUTO_EMBEDDER_MAPPING["bge-base-en-v1.5"].replace(trust_remote_code=True)
    monkeypatch.setitem(AUTO_EMBEDDER_MAPPING, "bge-base-en-v1.5", entry)
    folder, trap = armed("bge-base-en-v1.5", "strange")
    with pytest.raises(FlagEmbeddingError, match=re.escape(str(folder))):
        FlagAutoModel.from_finetuned(str(folder), devices="cpu")
    assert not trap.exists()


def test_the_trap_can_snap(armed: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    folder, trap = armed("bge-base-en-v1.5", "strange")
    monkeypatch.setattr(transformers.dynamic_module_utils, "HF_MODULES_CACHE", str(tmp_path / "modules"))
    with pytest.raises(FlagEmbeddingError):  # what it defines is no configuration
        FlagAutoModel.from_finetuned(str(folder), devices="cpu", trust_remote_code=True)
    assert trap.exists()
