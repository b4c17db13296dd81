# Each target sets up all it needs, from an empty clone, and can be run again.
VENV ?= .venv
BIN := $(VENV)/bin
# an environment that is there keeps its Python unless another is named
PYTHON ?= $(firstword $(wildcard $(BIN)/python) python3)

DEMO_PACKAGES := mosquitto libgl1 libglib2.0-0
TEST_PACKAGES := $(DEMO_PACKAGES) mosquitto-clients systemd libseccomp2 postgresql postgresql-postgis strace faketime \
	iproute2

.PHONY: help demo test test-all lint bench yield-bundles clean demo-packages test-packages development

help:
	@echo "make demo      install what a device and a server need, then run the whole loop"
	@echo "make test      install everything, then lint and run the tests"
	@echo "make test-all  the same with the slow tests"
	@echo "make lint      ruff, mypy, import contracts"
	@echo "make bench     the benchmarks, each beside its peer"
	@echo "make yield-bundles  the bundles of yields that come with Pomona (POMONA_DATA: folder of the sets)"

demo: demo-packages
	@scripts/virtual-environment $(PYTHON) $(VENV) device,opencv,server,yields
	$(BIN)/pomona demo

# three at a time on two cores, as many tests wait for processes; their networks gain nothing from threads of their own
test: lint test-packages
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3

test-all: lint test-packages
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 3 -m ""

lint: development
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: demo-packages development
	$(BIN)/python -m tests.benchmarks.counting
	$(BIN)/python -m tests.benchmarks.starting

yield-bundles: runs/simulated/fitted.json runs/us-states/fitted.json
	$(BIN)/pomona export apyieldnet --run runs/simulated --out export/bundles/apple-yield-simulated \
		--name apple-yield-simulated
	$(BIN)/pomona export apyieldnet --run runs/us-states --out export/bundles/apple-yield-us-states \
		--name apple-yield-us-states

runs/simulated/fitted.json: | development
	$(BIN)/pomona yields simulate --out runs/simulated.parquet --first-year 2018 --years 8
	$(BIN)/pomona train apyieldnet --table runs/simulated.parquet --out runs/simulated --in-season \
		--model apyieldnet-on-county-effects --compare county-effects --compare county-mean \
		--hold-out 2024 --hold-out 2025 --trials 2 --members 2

runs/us-states/fitted.json: | development
	$(BIN)/pomona yields import us-state-apples $(POMONA_DATA)/satellite/apple_state_yield_weather \
		--out runs/us-states.parquet
	$(BIN)/pomona train apyieldnet --table runs/us-states.parquet --out runs/us-states --model county-mean \
		--compare lasso --compare ridge --compare county-effects --compare county-mean --compare last-year \
		--licence CC0-1.0 --attribution "Apple yields: USDA National Agricultural Statistics Service; \
	weather: NOAA National Centers for Environmental Information"

development:
	@scripts/virtual-environment $(PYTHON) $(VENV) device,opencv,server,parquet,train,earth,dev

demo-packages:
	@scripts/system-packages $(DEMO_PACKAGES)

test-packages: development
	@scripts/system-packages $(TEST_PACKAGES)
	@scripts/chromium $(BIN)/python

clean:
	rm -rf $(VENV) demo-orchard *.egg-info
