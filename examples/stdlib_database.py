"""Embed the docstrings of Python's standard library with a job, load them into LanceDB, and ask it questions.

python examples/stdlib_database.py                                   # three questions
python examples/stdlib_database.py "how do I parse command line options?"

Needs flagembedding-core[jobs] and lancedb. The output stays in the folder stdlib-vectors; run again, the job finds it.
"""

from __future__ import annotations

import itertools
import sys
import sysconfig
import textwrap
from pathlib import Path

import lancedb
import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet as pq
from stdlib_search import HITS, LIMIT, MODEL, QUESTIONS, SHOWN, passages

from FlagEmbedding import FlagAutoModel
from FlagEmbedding.jobs import embed_corpus

FOLDER = Path("stdlib-vectors")


def write_corpus(path: Path) -> None:
    """Write the docstrings, unless they are there: a file that is written anew is another input."""
    if not path.exists():
        path.parent.mkdir(exist_ok=True)
        found = itertools.islice(passages(Path(sysconfig.get_path("stdlib"))), LIMIT)
        pq.write_table(pa.Table.from_pylist([{"name": each.name, "text": each.text} for each in found]), path)


def load(vectors: Path) -> lancedb.table.Table:
    """Return a table of LanceDB with the shards of a job."""
    shards = pyarrow.dataset.dataset([str(path) for path in sorted(vectors.glob("part-*.parquet"))])
    database = lancedb.connect(FOLDER / "lance")
    return database.create_table("passages", shards.scanner().to_reader(), mode="overwrite")


def main() -> None:
    """Embed, load, search."""
    write_corpus(FOLDER / "corpus.parquet")
    report = embed_corpus(
        str(FOLDER / "corpus.parquet"),
        str(FOLDER / "vectors"),
        MODEL,
        id_column="name",
        columns=("text",),
        shard_size=1000,
    )
    done = f"{report.embedded} docstrings in {report.shards} files, {report.found} of them found done"
    print(f"{done}; {report.rate:.0f} texts/s")
    table = load(FOLDER / "vectors")
    model = FlagAutoModel.from_finetuned(MODEL, devices="cpu")
    for question in [question for question in sys.argv[1:] if question.strip()] or QUESTIONS:
        print(f"\n{question}")
        query = table.search(model.encode_queries(question), vector_column_name="embedding")
        for hit in query.distance_type("cosine").limit(HITS).to_list():
            text = textwrap.shorten(hit["text"], SHOWN, placeholder=" ...")
            print(f"  {1 - hit['_distance']:.3f}  {text}")


if __name__ == "__main__":
    main()
