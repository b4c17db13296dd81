# Each target sets up all it needs, from an empty clone, and can be run again.
VENV ?= .venv
BIN := $(VENV)/bin
# an environment that is there keeps its Python unless another is named
PYTHON ?= $(firstword $(wildcard $(BIN)/python) python3)

DEMO_PACKAGES := mosquitto libgl1 libglib2.0-0
TEST_PACKAGES := $(DEMO_PACKAGES) mosquitto-clients systemd libseccomp2 postgresql postgresql-postgis strace faketime \
	iproute2

.PHONY: help demo test test-all lint bench clean demo-packages test-packages development

help:
	@echo "make demo      install what a device and a server need, then run the whole loop"
	@echo "make test      install everything, then lint and run the tests"
	@echo "make test-all  the same with the slow tests"
	@echo "make lint      ruff, mypy, import contracts"
	@echo "make bench     the benchmarks, each beside its peer"

demo: demo-packages
	@scripts/virtual-environment $(PYTHON) $(VENV) device,opencv,server
	$(BIN)/pomona demo

test: lint test-packages
	$(BIN)/python -m pytest -n 2

test-all: lint test-packages
	$(BIN)/python -m pytest -n 2 -m ""

lint: development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: demo-packages development
	$(BIN)/python -m tests.benchmarks.counting
	$(BIN)/python -m tests.benchmarks.starting

development:
	@scripts/virtual-environment $(PYTHON) $(VENV) device,opencv,server,parquet,train,earth,dev

demo-packages:
	@scripts/system-packages $(DEMO_PACKAGES)

test-packages: development
	@scripts/system-packages $(TEST_PACKAGES)
	@scripts/chromium $(BIN)/python

clean:
	rm -rf $(VENV) demo-orchard *.egg-info
