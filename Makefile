# Each target sets up all it needs, from an empty clone, and can be run again.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

DEMO_PACKAGES := mosquitto libgl1 libglib2.0-0
TEST_PACKAGES := $(DEMO_PACKAGES) mosquitto-clients chromium systemd

.PHONY: help demo test test-all lint bench clean

help:
	@echo "make demo      install what a device and a server need, then run the whole loop"
	@echo "make test      install everything, then lint and run the tests"
	@echo "make test-all  the same with the slow tests"
	@echo "make lint      ruff, mypy, import contracts"
	@echo "make bench     the benchmarks, each beside its peer"

demo: $(VENV)/.demo
	$(BIN)/pomona demo

test: lint
	$(BIN)/python -m pytest

test-all: lint
	$(BIN)/python -m pytest -m ""

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.test
	$(BIN)/python -m tests.benchmarks.counting
	$(BIN)/python -m tests.benchmarks.starting

$(VENV)/.demo: pyproject.toml
	@scripts/system-packages $(DEMO_PACKAGES)
	@scripts/virtual-environment $(PYTHON) $(VENV) device,opencv,server
	@touch $@

$(VENV)/.test: pyproject.toml
	@scripts/system-packages $(TEST_PACKAGES)
	@scripts/virtual-environment $(PYTHON) $(VENV) device,opencv,server,train,dev
	@touch $@ $(VENV)/.demo

clean:
	rm -rf $(VENV) demo-orchard *.egg-info
