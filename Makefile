# The whole set-up lives in .venv, made here on first need. `make` alone lists the targets.

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help quickstart test test-tensorflow check docs docs-serve wheels fmt clean

VENV := .venv
TENSORFLOW := .venv-tensorflow
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# Arguments passed on: `make quickstart ARGS="--minutes 3"`, `make test PYTEST="-k mask -x"`.
ARGS ?=
PYTEST ?=

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

quickstart: $(VENV)/.installed-core ## the whole life of a BERT on text found on this machine (ARGS="--minutes 3")
	$(BIN)/bertwright quickstart $(ARGS)

test: $(VENV)/.installed-dev ## all tests (PYTEST="-k mask -x")
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 8 --dist loadfile --durations 25 --durations-min 10 $(PYTEST)

# TensorFlow wants other versions of much that we use, so it has an environment of its own.
test-tensorflow: $(VENV)/.installed-dev $(TENSORFLOW)/.installed ## checkpoints of the original code against TensorFlow itself (1.6 GB)
	BERTWRIGHT_TENSORFLOW=$(TENSORFLOW)/bin/python $(BIN)/python -m pytest tests/parity/test_tensorflow.py

check: $(VENV)/.installed-dev ## lint, format, types and the import contract; changes nothing
	@failed=; \
	for step in "ruff check" "ruff format --check" "mypy" "lint-imports --no-logo"; do \
	    echo "$(BIN)/$$step"; $(BIN)/$$step || failed="$$failed [$$step]"; \
	done; \
	if [ -n "$$failed" ]; then echo "failed:$$failed" >&2; exit 1; fi

docs: $(VENV)/.installed-docs ## the book, into site/index.html; a warning fails
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet
	@echo "site/index.html" >&2

docs-serve: $(VENV)/.installed-docs ## the book at http://127.0.0.1:8001, built anew whenever a page is saved
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve --dev-addr 127.0.0.1:8001

# Before a release, and after a change of dependencies: half an hour, for torch is installed anew for every extra.
wheels: $(VENV)/.installed-dev ## sdist and wheel into dist/, and the wheel tried with each extra in an empty environment (ARGS="zh near")
	$(BIN)/python .ci/try_wheel.py $(ARGS)

fmt: $(VENV)/.installed-dev ## format, and mend what ruff can mend by itself
	$(BIN)/ruff check --fix-only
	$(BIN)/ruff format

clean: ## remove the environment and every cache; runs and models stay
	rm -rf $(VENV) $(TENSORFLOW) build dist site .import_linter_cache .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks experiments docs -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# A stamp is touched only after the last step of an install, so an interrupted one is simply done again.

# A name such as python3.12 may be a shim with nothing behind it: each candidate is run before it is believed.
# Debian ships Python without ensurepip, and then no environment can be made. A .venv that someone made by hand is kept;
# one that an interrupt left without a working pip is made again from nothing.
$(VENV)/.made:
	@found=; old=; \
	for python in python3 python3.13 python3.12 python3.11; do \
	    "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1 || continue; \
	    old=$$python; \
	    "$$python" -c 'import ensurepip, venv' >/dev/null 2>&1 || continue; \
	    found=$$python; break; \
	done; \
	if [ -z "$$old" ]; then \
	    echo "bertwright needs Python 3.11 or newer, and no python3 found here is; install one, then run make again" >&2; exit 2; \
	elif [ -z "$$found" ]; then \
	    echo "$$old cannot make virtual environments; install the module (Debian, Ubuntu: apt install python3-venv), then run make again" >&2; exit 2; \
	fi; \
	echo "making $(VENV) with $$found ($$("$$found" -c 'import platform; print(platform.python_version())'))" >&2; \
	"$$found" -m venv $(VENV) && $(PIP) --version >/dev/null 2>&1 || "$$found" -m venv --clear $(VENV)
	@touch $@

$(VENV)/.installed-core: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing bertwright; torch is large, so the first time takes some minutes" >&2
	$(PIP) install -e '.[report]' -c constraints.txt
	@touch $@

$(VENV)/.installed-docs: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing bertwright and what builds the book; torch is large, so the first time takes some minutes" >&2
	$(PIP) install -e '.[docs,report]' -c constraints.txt
	@touch $(VENV)/.installed-core $@

# The tests need all that the tool and the book need: this install stands for all three.
$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(VENV)/.made
	@echo "installing bertwright with its tests and checks; torch is large, so the first time takes some minutes" >&2
	$(PIP) install -e '.[dev,report]' -c constraints.txt
	@touch $(VENV)/.installed-core $(VENV)/.installed-docs $@

$(TENSORFLOW)/.installed: tests/parity/tensorflow.txt | $(VENV)/.made
	$(BIN)/python -m venv --clear $(TENSORFLOW)
	$(TENSORFLOW)/bin/python -m pip --disable-pip-version-check install -r tests/parity/tensorflow.txt
	@touch $@
