# One command for each thing that is done with this tree; each makes what it needs first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Written when the environment holds what pyproject.toml asks for; changing that file makes it stale.
READY := $(VENV)/.ready
# The same for a part of it: what a first run and a first test need, and what the site needs.
DEMO_READY := $(VENV)/.demo-ready
SITE_READY := $(VENV)/.site-ready
WORKERS ?= auto

.PHONY: demo test test-kubernetes lint format types floors check docs nightly bench clean

demo: $(DEMO_READY)  ## run a workflow on this machine, with nothing but Python
	$(BIN)/flowcore run docs/examples/release.yaml --backend local

test: $(READY)  ## the whole test suite
	$(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 -q

test-kubernetes: $(READY)  ## the Kubernetes backend on the cluster that FLOWCORE_TEST_KUBECONFIG names, with nothing faked
	@test -n "$$FLOWCORE_TEST_KUBECONFIG" || { echo "set FLOWCORE_TEST_KUBECONFIG to a kubeconfig; see docs/kubernetes.md" >&2; exit 2; }
	$(BIN)/python -m pytest -q -m kubernetes tests/backends/kubernetes

lint: $(READY)  ## style and layout
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

format: $(READY)  ## put the layout right
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .

types: $(READY)  ## mypy --strict
	$(BIN)/mypy

floors: $(READY)  ## imports only go down, the pure floors stay pure
	$(BIN)/python -m pytest -q -p no:cacheprovider tests/test_floors.py

check: lint types test  ## all that has to be green before a change is offered

docs: $(SITE_READY)  ## the site, in site/, without a warning
	$(BIN)/python docs/makers
	$(BIN)/python -m sphinx -q -W --keep-going -E -b html docs site

nightly: $(READY)  ## the long look: 10,000 simulated workflows, and processes killed fifty times over SQLite and over PostgreSQL
	FLOWCORE_SEEDS=10000 $(BIN)/python -m pytest -n $(WORKERS) --maxprocesses 4 -q --timeout 14400 tests/simulation
	FLOWCORE_KILLS=50 FLOWCORE_KILL_LEAVES=100 $(BIN)/python -m pytest -q -rP --show-capture stdout --timeout 1800 tests/durable/test_sigkill.py

bench: $(READY)  ## microseconds and bytes a node, beside bare asyncio
	$(BIN)/python benchmarks/engine.py
	$(BIN)/python benchmarks/durable.py

clean:
	rm -rf $(VENV) site .pytest_cache .mypy_cache .ruff_cache .hypothesis build dist

$(READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

$(DEMO_READY): pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	test $(READY) -nt pyproject.toml || $(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[cli,test]' pytest-asyncio pytest-timeout
	touch $@

$(SITE_READY): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	touch $@
