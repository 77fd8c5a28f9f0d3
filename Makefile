# Verbs of the project; .ci/run uses the same ones. `make help` lists them.
PYTHON ?= python3
PHOTO  ?= src/editthinker/darkroom/photographs/demo.jpg
PROMPT ?= make it look like an old photograph

VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install -qq --disable-pip-version-check -c constraints.txt
export OMP_NUM_THREADS ?= 1

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast check format docs train-darkroom clean

help: ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 18

# What is installed is remembered by stamp files: a second run installs nothing unless the project file changed.
$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.core: pyproject.toml constraints.txt | $(VENV)/bin/python
	@echo "installing editthinker into $(VENV) ..."
	@$(PIP) --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.core
	@echo "installing the tools for tests and checks ..."
	@$(PIP) --editable '.[dev]'
	@touch $@

$(VENV)/.train: $(VENV)/.dev
	@echo "installing torch, Ray and the training libraries (a few minutes the first time) ..."
	@$(PIP) torch
	@$(PIP) --editable '.[dev,train,local,ray]' 'transformers[serving]'
	@touch $@

demo: $(VENV)/.core ## edit a photo and print where result and report are (PHOTO=... PROMPT="...")
	@mkdir -p runs
	EDITTHINKER_RUNS=runs $(BIN)/editthinker edit '$(subst ','\'',$(PHOTO))' '$(subst ','\'',$(PROMPT))' -o runs/demo.png --force

test: $(VENV)/.train ## every test, the slow ones too
	$(BIN)/python -m pytest -n 2

test-fast: $(VENV)/.dev ## the tests that take seconds, without torch
	$(BIN)/python -m pytest -n 2 -m 'not slow'

check: $(VENV)/.dev ## lint, format, types, architecture
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_architecture.py

format: $(VENV)/.dev ## let ruff rewrite what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs: $(VENV)/.core ## regenerate docs/cli.md from --help
	$(BIN)/python -m editthinker.cli.manual > docs/cli.md

train-darkroom: $(VENV)/.train ## train the darkroom editor and thinker anew (several hours on a CPU; goes on where it stopped)
	$(BIN)/python -m editthinker.training.darkroom all

clean: ## remove everything that was made here, the runs excepted
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +
