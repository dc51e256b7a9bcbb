# RecArena. `make` alone lists what can be made. Everything runs in .venv; nothing is activated.
SHELL := bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.setup-stamp
DISTS := protos clients/python clients/recommenders clients/bridge clients/conformance clients/observatory server evaluation
OWN := $(addprefix recarena-,protocol client recommenders bridge conformance observatory server evaluation)
PYPROJECTS := $(DISTS:%=%/pyproject.toml)
EDITABLE := $(DISTS:%=-e %)
# The first of these that is Python 3.11 or newer makes the environment; `make PYTHON=...` picks.
PYTHON ?= python3.11 python3.12 python3.13 python3
CROSSCHECK := .venv-crosscheck
# Options for the program that a target runs: make test ARGS="-k session"
ARGS ?=
# Tests run in two processes, a file in one of them; make test TWO= runs them one after another.
TWO ?= -n 2 --dist loadfile

.PHONY: help
help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: $(STAMP) ## Make .venv with every dependency (does nothing when it is up to date)
	@:

$(STAMP): requirements.lock pyproject.toml $(PYPROJECTS)
	@if ! $(BIN)/python -m pip --version >/dev/null 2>&1; then \
	  found=; for candidate in $(PYTHON); do \
	    if $$candidate -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' \
	      >/dev/null 2>&1; then found=$$candidate; break; fi; \
	  done; \
	  if [ -z "$$found" ]; then \
	    echo "RecArena needs Python 3.11 or newer with its venv module; none of these is: $(PYTHON)"; \
	    echo "Install one (Debian: apt install python3 python3-venv)," \
	      "or name it: make setup PYTHON=/path/to/python3"; \
	    exit 1; \
	  fi; \
	  echo "setup: making $(VENV) with $$($$found --version)"; \
	  $$found -m venv --clear $(VENV); \
	fi
	@echo "setup: installing the locked dependencies (a minute or two the first time)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@echo "setup: installing RecArena itself: $(DISTS)"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation $(EDITABLE)
	@touch $@
	@echo "setup: done; the commands are in $(BIN)"

.PHONY: demo
demo: setup ## Watch recommenders compete for simulated users: no key, no network, no download
	@$(BIN)/recarena demo $(ARGS)

.PHONY: watch
watch: setup ## Watch one run of the demo on a page in the browser, until Ctrl-C
	@$(BIN)/recarena demo --watch $(ARGS)

.PHONY: demo-languages
demo-languages: setup ## The same recommender in Python, TypeScript, Go and Java compete in one world
	@$(BIN)/python clients/demo_languages.py $(ARGS)

.PHONY: clients
clients: setup ## Build the clients in other languages (ARGS="go java" picks)
	@$(BIN)/python clients/build.py $(ARGS)

.PHONY: serve
serve: setup ## Start the server (ARGS="--help" lists its options)
	@$(BIN)/recarena serve $(ARGS)

.PHONY: run-free
run-free: setup ## One run with built-in minds, which costs nothing (ARGS="--help" lists its options)
	@$(BIN)/recarena run $(ARGS)

.PHONY: test
test: setup ## Run all tests (ARGS="-k words -x" goes to pytest)
	@$(BIN)/python clients/build.py --lenient
	@$(BIN)/python -m pytest $(TWO) $(ARGS)

.PHONY: test-fast
test-fast: setup ## Run the tests that are not slow
	@$(BIN)/python -m pytest $(TWO) -m "not slow" $(ARGS)

.PHONY: crosscheck
crosscheck: setup $(CROSSCHECK)/.stamp ## Hold metrics against rectools, scipy and choix, in an environment of their own
	@$(BIN)/python -m pytest tests/crosscheck $(ARGS)

$(CROSSCHECK)/.stamp: requirements-crosscheck.lock
	@echo "crosscheck: making $(CROSSCHECK) (a minute or two the first time)"
	@$(BIN)/python -m venv --clear $(CROSSCHECK)
	@$(CROSSCHECK)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r $<
	@touch $@

.PHONY: sanity
sanity: setup ## Measure what the statistics claim (false alarms, coverage, peeking), and print the figures
	@RECARENA_THOROUGH=1 $(BIN)/python -m pytest -q tests/sanity $(ARGS)

.PHONY: lint
lint: setup ## Check style, imports between packages, and the protos
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/lint-imports --no-logo
	@$(BIN)/python protos/buf.py lint
	@$(BIN)/python protos/buf.py breaking

.PHONY: format
format: setup ## Put the code into its ordinary form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: types
types: setup ## Check types, strictly
	@$(BIN)/basedpyright

.PHONY: protos
protos: setup ## Generate the committed code again from the protos: Python, TypeScript, Go
	@$(BIN)/python protos/generate.py
	@$(BIN)/python protos/generate_typescript.py
	@$(BIN)/python protos/generate_go.py

.PHONY: protos-check
protos-check: setup ## Fail when committed code is not what the protos generate
	@$(BIN)/python protos/generate.py --check
	@$(BIN)/python protos/generate_typescript.py --check
	@$(BIN)/python protos/generate_go.py --check

.PHONY: protos-release
protos-release: setup ## Take the protos as released: later ones may not break them
	@$(BIN)/python protos/buf.py release

.PHONY: bench
bench: setup ## Measure speed (ARGS goes to bench/run.py)
	@$(BIN)/python bench/run.py $(ARGS)

.PHONY: observatory-screenshot
observatory-screenshot: setup ## Make the README's picture of the observatory again (needs Chromium)
	@$(BIN)/python docs/observatory_pictures.py $(ARGS)

.PHONY: soak
soak: setup ## Play under fire for ten minutes, then count everything (ARGS="--minutes 60")
	@$(BIN)/python bench/soak.py $(ARGS)

.PHONY: lock
lock: ## Resolve the dependencies again into requirements.lock (ARGS="--upgrade" for newer ones)
	@$(BIN)/uv --version >/dev/null 2>&1 || $(MAKE) setup
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  --all-extras --group dev $(OWN:%=--no-emit-package %) \
	  $(PYPROJECTS) --output-file requirements.lock $(ARGS)
	@$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-find-links \
	  tests/crosscheck/requirements.in --output-file requirements-crosscheck.lock $(ARGS)

.PHONY: clean
clean: ## Remove .venv, caches and build output (never runs/ or worlds/)
	rm -rf $(VENV) $(CROSSCHECK) .pytest_cache .ruff_cache .hypothesis .import_linter_cache build dist
	find . -name __pycache__ -not -path './.git/*' -type d -prune -exec rm -rf {} +
