# `make` alone lists the targets.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup clients run test campaign check types bench docs screenshots lock vendor publish clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## /{printf "make %-11s %s\n", $$1, $$2}' Makefile

setup: $(VENV)/installed ## create the virtual environment with the locked dependencies

$(VENV)/installed: requirements-dev.lock pyproject.toml
	test -d $(VENV) || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV). This takes some minutes."
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

clients: $(VENV)/clients/installed $(VENV)/node/installed ## install the generators of clients, with which tests make some

$(VENV)/clients/installed: $(VENV)/installed tests/clients/requirements.lock
	test -x $(VENV)/clients/bin/pip || $(PYTHON) -m venv $(VENV)/clients
	$(VENV)/clients/bin/pip install --quiet --disable-pip-version-check --require-hashes -r tests/clients/requirements.lock
	touch $@

# Without Node, the tests that need its packages are skipped.
$(VENV)/node/installed: $(VENV)/installed tests/support/node/package-lock.json
	mkdir -p $(VENV)/node
	cp tests/support/node/package.json tests/support/node/package-lock.json $(VENV)/node
	if command -v npm > /dev/null; then npm ci --prefix $(VENV)/node --silent --ignore-scripts --no-audit --no-fund; fi
	touch $@

run: setup ## run the service with demo data on the embedded PostgreSQL
	$(BIN)/csmetrics demo
	exec $(BIN)/csmetrics serve

test: check clients ## check, then run all tests in parallel
	$(BIN)/python -m pytest -n 2 -rs

campaign: setup ## try random data with fifty times as many examples, kill processes for 15 minutes on a busy machine, and poll during writes
	CAMPAIGN=50 $(BIN)/python -m pytest -n 2 $(shell grep -rl 'campaign import examples' tests)
	$(BIN)/python -m tests.system.kill_campaign
	$(BIN)/python -m tests.webhooks.kill_campaign
	$(BIN)/python -m tests.polling.process_campaign

check: setup types ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd clients/python && $(abspath $(BIN))/mypy

bench: $(VENV)/bench ## measure ingest and questions beside PostgreSQL and DuckDB (ARGS="--size 1m"; ARGS=--help lists more)
	$(BIN)/python -m bench $(ARGS)

$(VENV)/bench: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[bench]'
	touch $@

docs: $(VENV)/docs ## build the documentation site into build/site
	$(BIN)/zensical build --strict --clean

screenshots: setup ## take a picture of every view of the page with the demo, into docs/images/page (needs Chromium)
	$(BIN)/python -m tests.ui.screenshots

$(VENV)/docs: $(VENV)/installed
	$(BIN)/pip install --quiet --disable-pip-version-check --no-build-isolation --editable '.[docs]'
	touch $@

lock: ## update the lock files (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra all -c requirements.lock pyproject.toml -o requirements-all.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes tests/clients/requirements.in -o tests/clients/requirements.lock

# What bundles the modules of others and checks ours. npm writes this file when it has installed everything.
NODE_MODULES = build/vendor/node_modules
PACKAGES_OF_THE_PAGE = $(NODE_MODULES)/.package-lock.json

$(PACKAGES_OF_THE_PAGE): app/ui/vendor/package-lock.json
	mkdir -p build/vendor
	cp app/ui/vendor/package.json app/ui/vendor/package-lock.json build/vendor
	npm ci --prefix build/vendor --silent --ignore-scripts --no-audit --no-fund
	touch $@

ifneq ($(shell command -v npm),)
types: $(PACKAGES_OF_THE_PAGE) ## check the types of the page's modules (needs Node)
	$(NODE_MODULES)/.bin/tsc --project app/ui
else
types:
	@echo "npm is missing, so THE TYPES OF THE PAGE'S MODULES ARE NOT CHECKED"
endif

vendor: setup $(PACKAGES_OF_THE_PAGE) ## bundle again what the page uses of others (needs Node)
	$(BIN)/python -m app.ui.vendor

publish: setup ## generate openapi/openapi.json and docs/reference from the code
	$(BIN)/csmetrics publish

clean: ## remove the virtual environment, builds and caches of tools
	rm -rf $(VENV) build clients/python/build .pytest_cache .hypothesis .mypy_cache .ruff_cache *.egg-info
