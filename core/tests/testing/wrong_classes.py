"""Classes, and poolings, each of which breaks one line of the contract."""

from __future__ import annotations

import multiprocessing
import time
from pathlib import Path

import numpy as np
import transformers
from contract_fakes import Letters, Right, RightDecoder, RightReranker, bent

from FlagEmbedding.errors import CheckpointError


def padded_mean(states, mask):
    return states.mean(dim=1)


def no_pooling(states, mask):
    return states


class LettersWithoutInstruction(Letters):
    def encode_corpus(self, corpus, *args, **options):
        return self.encode(corpus, *args, **options)


class NeverLoads(Right):
    def __init__(self, *args, **options):
        raise OSError("out of order")


class Constant(Right):
    def encode_single_device(self, sentences, *args, **options):
        rows = super().encode_single_device(sentences, *args, **options)
        return np.eye(1, rows.shape[1], dtype=np.float32).repeat(len(rows), axis=0)


class Double(Right):
    def encode_single_device(self, sentences, *args, **options):
        return super().encode_single_device(sentences, *args, **options).astype(np.float64)


class Long(Right):
    def encode_single_device(self, sentences, *args, **options):
        return 2 * super().encode_single_device(sentences, *args, **options)


class TooMany(Right):
    def encode_single_device(self, sentences, *args, **options):
        rows = super().encode_single_device(sentences, *args, **options)
        return np.concatenate([rows, rows[:1]])


class ReadsPadding(Right):
    def encode_single_device(self, sentences, *args, **options):
        longest = max(map(len, sentences))
        return bent(super().encode_single_device(sentences, *args, **options), [longest / 80] * len(sentences))


class SortsAndForgets(Right):
    def encode_single_device(self, sentences, *args, **options):
        return super().encode_single_device(sorted(sentences, key=len), *args, **options)


class ForgetsDuplicates(Right):
    def encode_single_device(self, sentences, *args, **options):
        again = [text in sentences[:place] for place, text in enumerate(sentences)]
        return bent(super().encode_single_device(sentences, *args, **options), again)


class Strips(Right):
    def encode_single_device(self, sentences, *args, **options):
        return super().encode_single_device([text.strip() for text in sentences], *args, **options)


class NoPassages(Right):
    def encode_corpus(self, corpus, *args, **options):
        return self.encode(corpus, *args, **options)


class Twice(Right):
    def encode_queries(self, queries, *args, **options):
        twice = [f"query: {text}" if isinstance(text, str) else text for text in queries]
        return super().encode_queries(twice, *args, **options)


class SmallLetters(RightReranker):
    def compute_score_single_gpu(self, sentence_pairs, *args, **options):
        return super().compute_score_single_gpu([(a.lower(), b.lower()) for a, b in sentence_pairs], *args, **options)


class NoEnding(RightDecoder):
    def _load_tokenizer(self, checkpoint):
        return checkpoint.load_tokenizer()


class TakesEveryOption(Right):
    def __init__(self, *args, **options):
        options.pop("no_such_option", None)
        super().__init__(*args, **options)


class TakesEveryOptionOfACall(Right):
    def encode_single_device(self, *args, no_such_option=None, **options):
        return super().encode_single_device(*args, **options)


class TakesAnything(Right):
    def encode_queries(self, queries, *args, **options):
        return super().encode_queries([str(text) for text in queries], *args, **options)


class LoadsAnything(Right):
    def _load_model(self, checkpoint, config, dtype, attention):
        model = transformers.AutoModel.from_pretrained(checkpoint.folder, config=config, dtype=dtype)
        return model.eval().requires_grad_(False)


class LoadsNoCopy(Right):
    """It crashes on a folder that it does not know, whatever that holds."""

    def __init__(self, model_name_or_path, *args, **options):
        if Path(model_name_or_path).name == "copy":
            raise OSError("no such folder: copy")
        super().__init__(model_name_or_path, *args, **options)


class NamesNothing(Right):
    def _load_model(self, *args):
        try:
            return super()._load_model(*args)
        except CheckpointError as error:
            raise CheckpointError("the checkpoint is damaged") from error


class ClosesForGood(Right):
    def close(self):
        super().close()
        vars(self).pop("_engine", None)


class OtherInWorkers(Right):
    def encode_single_device(self, sentences, *args, **options):
        rows = super().encode_single_device(sentences, *args, **options)
        return rows if multiprocessing.parent_process() is None else bent(rows, [1] * len(rows))


class NeverCloses(Right):
    """It has a process of its own in the place of workers."""

    def _spread(self, method, inputs, **options):
        if len(self.target_devices) > 1 and len(inputs) > 100:
            multiprocessing.get_context("spawn").Process(target=time.sleep, args=(60,)).start()
        return self._here(method, inputs, options)
