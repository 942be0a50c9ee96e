# `make` alone prints what there is.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup run test check bench lock publish clean

help: ## print this
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-8s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/installed ## make the virtual environment and install what is locked

$(VENV)/installed: requirements-dev.lock pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

run: setup ## the service with demo data on the embedded PostgreSQL
	$(BIN)/csmetrics demo
	exec $(BIN)/csmetrics serve

test: check ## everything: checks, then the tests in parallel
	$(BIN)/python -m pytest -n 2

check: setup ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/bench ## what it takes in and answers, beside PostgreSQL and DuckDB (ARGS="--size 1m"; --help lists more)
	$(BIN)/python -m bench $(ARGS)

$(VENV)/bench: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[bench]'
	touch $@

lock: ## write the lock files anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock

publish: setup ## write openapi/openapi.json and the reference page anew
	$(BIN)/csmetrics publish

clean: ## remove the virtual environment and what tools left behind
	rm -rf $(VENV) .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info
