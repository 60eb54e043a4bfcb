# Each target does its own set-up first: `make demo` and `make test` work in a fresh clone.
#   PYTHON=python3.12   the interpreter to build .venv with (default: the first 3.11 or 3.12 found)
#   HARDWARE=cpu|gpu    the stack to install (default: gpu where nvidia-smi lists a GPU, else cpu)
#   ARGS="key=value"    more overrides for `make demo`, more options for the test targets

PYTHON ?= $(shell for p in python3 python3.12 python3.11 python; do \
	"$$p" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' 2>/dev/null \
	&& { echo "$$p"; break; }; done)
VENV := .venv/bin/python
# Each process of the tests would compile every module again.
unexport PYTHONDONTWRITEBYTECODE
PYTEST := $(VENV) -m pytest
# A run's start-up keeps one core busy, so two files at a time; the deaths are timed and run alone.
SIDE_BY_SIDE := -v --durations=25 -n 2 --dist loadfile
SETUP_FLAGS = $(if $(HARDWARE),--hardware $(HARDWARE)) \
	$(if $(filter file,$(origin PYTHON)),,--this-python)
SETUP = py="$(PYTHON)"; test -n "$$py" || { \
	echo "error: no Python 3.11 or 3.12 on PATH → make $(MAKECMDGOALS) PYTHON=/path/to/python3.12" >&2; \
	exit 7; }; "$$py" -u -m launch.bootstrap $(SETUP_FLAGS)

.PHONY: help setup setup-dev check test test-full bench demo
.DEFAULT_GOAL := help

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

setup: ## install everything into .venv (idempotent; goes on after an interruption)
	@$(SETUP)

# And what only the tests need: a browser for the pages, bubblewrap for the sandbox's tier.
setup-dev:
	@$(SETUP) --test-tools

check: setup-dev ## lint, types, unit and rules tests
	$(VENV) -m ruff check .
	$(VENV) -m ruff format --check .
	$(VENV) -m mypy
	$(PYTEST) tests/unit tests/rules -q -n 2 -m "not full and not gpu and not bench" $(ARGS)

test: check ## check, golden batteries, contract tests and the end-to-end tests that fit in 25 minutes
	$(PYTEST) tests/golden -q -n 2 --timeout 300 -m "not full and not gpu and not bench" $(ARGS)
	$(PYTEST) tests/contract tests/e2e_cpu $(SIDE_BY_SIDE) -m "not full and not gpu and not bench" $(ARGS)

# One failure does not hide what the deaths would have shown.
test-full: setup-dev ## the end-to-end tests that are longer
	failed=0; \
	$(PYTEST) tests $(SIDE_BY_SIDE) -m full --ignore tests/e2e_cpu/deaths $(ARGS) || failed=1; \
	$(PYTEST) tests/e2e_cpu/deaths -v --durations=25 -m full $(ARGS) || failed=1; \
	exit $$failed

bench: setup ## measure against peers in one run; ends with the aims that were missed
	$(PYTEST) tests/bench -m bench -s $(ARGS)

demo: setup ## prepare → SFT → GRPO → evaluate → report.html, offline on any hardware
	$(VENV) -m launch.grpo +recipe=arithmetic $(ARGS)
