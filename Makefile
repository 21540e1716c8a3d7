# `make run` and `make test` need nothing before them but Python 3.11 and, the first time, a package index.
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup run test test-full test-compat test-newest test-faults test-slurm lint format lock clean

VENV := .venv
BIN := $(VENV)/bin
COMPAT := .venv-compat
COMPAT_PINS := transformers==5.17.0 huggingface-hub==1.33.0
NEWEST := .venv-newest
NEWEST_PINS := transformers==5.24.0
WORKERS ?= 2
PYTEST = $(BIN)/python -m pytest -n $(WORKERS)

help: ## List the targets.
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

setup: $(VENV)/.stamp ## Make .venv with the pinned versions; nothing to do when nothing changed.

$(VENV)/.stamp: pyproject.toml constraints.txt scripts/setup_env.sh
	@scripts/setup_env.sh $(VENV)
	@touch $@

run: setup ## Run the pico sweep (10 cells) and print its table.
	$(BIN)/python run.py experiment=pico

test: lint ## Lint, then the covering tests: guards every change.
	$(PYTEST)

test-full: setup ## The whole matrix: every reducer on every model family.
	$(PYTEST) -m "not faults and not slurm"

test-faults: setup ## Kill, starve and corrupt runs, then look what was lost.
	$(BIN)/python -m pytest -m faults

test-slurm: setup ## Sweeps on a private Slurm of two nodes; skipped where Slurm is not installed.
	$(BIN)/python -m pytest -m slurm -rs tests/slurm $(SLURM_TESTS)

test-compat: $(COMPAT)/.stamp ## The covering tests on the oldest supported transformers.
	$(COMPAT)/bin/python -m pytest -n $(WORKERS)

$(COMPAT)/.stamp: pyproject.toml constraints.txt scripts/setup_env.sh
	@scripts/setup_env.sh $(COMPAT) $(COMPAT_PINS)
	@touch $@

test-newest: $(NEWEST)/.stamp ## The covering tests on the newest supported transformers.
	$(NEWEST)/bin/python -m pytest -n $(WORKERS)

$(NEWEST)/.stamp: pyproject.toml constraints.txt scripts/setup_env.sh
	@scripts/setup_env.sh $(NEWEST) $(NEWEST_PINS)
	@touch $@

lint: setup ## Style, format, types, and the order of imports.
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports pyproject.toml > $(VENV)/imports.log || { cat $(VENV)/imports.log; exit 1; }

format: setup ## Mend what can be mended without thought.
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: ## Resolve anew and write constraints.txt; PINS="torch==2.12.1 …" holds some.
	@scripts/lock.sh $(PINS)

clean: ## Remove environments and caches; results stay.
	rm -rf $(VENV) $(COMPAT) $(NEWEST) build ./*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
