# Everything runs in .venv, made here from python3 and the locked requirements; nothing else is needed.
PYTHON ?= python3
BIN := .venv/bin
# Many tests wait for another process, so one more than there are cores keeps them busy.
WORKERS ?= $(shell expr $$(nproc) + 1)
PIP := $(BIN)/python -m pip --disable-pip-version-check
COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --fork-strategy fewest --generate-hashes --no-emit-index-url --no-annotate --no-header

.DEFAULT_GOAL := help
.PHONY: help env demo test check fidelity bench docs build lock

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

env: .venv/.dev ## the environment with all that development needs

demo: .venv/.run ## a simulated lab, brought from empty to desired-state/
	$(BIN)/vlab demo

test: check ## format, lint, types, import contract, tests
	$(BIN)/python -m pytest --numprocesses $(WORKERS)

check: .venv/.dev ## the same without the tests
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fidelity: .venv/.dev ## the twin against recordings of real implementations (VLAB_REFERENCE names their folder)
	$(BIN)/vlab fidelity

bench: .venv/.dev ## what it costs in time and memory
	$(BIN)/python -m benchmarks

docs: .venv/.dev ## write docs/reference and the index of docs from the code
	$(BIN)/python -m api.reference

build: .venv/.run ## the wheel, in dist/
	$(BIN)/python -m hatchling build -t wheel

lock: ## write requirements/ anew (needs uv; newest versions: make lock UPGRADE=--upgrade)
	$(COMPILE) $(UPGRADE) --group build -o requirements/run.txt
	$(COMPILE) $(UPGRADE) --group dev -c requirements/run.txt -o requirements/dev.txt

.venv/.run: requirements/run.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "vlab needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + "\n  fix: make PYTHON=/path/to/python3.11 ...")'
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv || { echo "  fix: apt-get install python3-venv"; exit 1; }
	$(PIP) install --quiet --require-hashes -r requirements/run.txt
	$(PIP) install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

.venv/.dev: requirements/dev.txt .venv/.run
	$(PIP) install --quiet --require-hashes -r requirements/dev.txt
	@touch $@
