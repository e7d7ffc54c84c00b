# Every target sets up what it needs: Python 3.11 or newer and make are enough.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The package index for torch; empty means pip's own configuration. On Linux, PyTorch's index of
# CPU builds saves gigabytes: make demo TORCH_INDEX=https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt

VARIANT ?= cpu
IMAGE ?= localhost/sweetspot:$(VARIANT)
CONTAINER_ENGINE ?= $(shell docker info >/dev/null 2>&1 && echo docker || echo podman)
# SageMaker accepts only a Docker v2 manifest of one platform.
IMAGE_OPTIONS ?= $(if $(filter podman,$(CONTAINER_ENGINE)),--format docker --pull=never,--provenance=false)
# The image uses PyTorch's index of CPU builds by default: make image TORCH_INDEX= uses pip's own.
IMAGE_TORCH_INDEX = $(if $(filter undefined,$(origin TORCH_INDEX)),https://download.pytorch.org/whl/cpu,$(TORCH_INDEX))
VERSION = $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)
REVISION ?= $(shell git rev-parse --short HEAD 2>/dev/null || echo unknown)

# Duration of `make chaos`, s, without its bulk jobs.
CHAOS_SECONDS ?= 240

.DEFAULT_GOAL := help
.PHONY: help demo train-demo test chaos fuzz parity-full parity-openclip sdk-test clients-test wheel-test image image-test sbom serve benchmark benchmark-load benchmark-peers benchmark-gpu lint types check fmt docs clean

help: ## List the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 16

demo: $(VENV)/.run ## Search screens by text with the built-in model, start to end
	$(BIN)/python examples/demo.py

train-demo: $(VENV)/.train ## Fine-tune the built-in model on screens that it does not know, within minutes
	$(BIN)/python -m examples.train_demo

# Hundreds of processes start from bytecode that is kept. Tests of services wait most of the time, while
# the others compute.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/.dev ## Run all tests, four at a time; those that need the machine alone come last
	$(BIN)/python -m pytest -n 4 --dist worksteal
	$(BIN)/python -m pytest tests/e2e/test_contention.py -m alone

chaos: $(VENV)/.dev ## Kill processes, break fetches, drop clients; check every answer (CHAOS_SECONDS=20 CHAOS_BULK="--rows 600 --kills 1")
	$(BIN)/python -m tests.chaos --seconds $(CHAOS_SECONDS)
	$(BIN)/python -m tests.chaos.flood
	$(BIN)/python -m tests.chaos.bulk $(CHAOS_BULK)

fuzz: $(VENV)/.dev ## Preprocess mutated and hostile images, some 10 minutes (FUZZ="--count 3000")
	$(BIN)/python -m tests.fuzz $(FUZZ)

parity-full: $(VENV)/.dev ## Compare full-size models with transformers on every back end, some 5 minutes
	$(BIN)/python -m pytest -m full

parity-openclip: $(VENV)/.dev .openclip/.ready ## Compare converted models with open_clip's own code, some 20 minutes
	OPENCLIP_PYTHON=.openclip/bin/python $(BIN)/python -m pytest -m openclip -s

sdk-test: $(VENV)/.dev .sdk/.ready ## Run the SageMaker SDK's predictors against a local endpoint
	SDK_PYTHON=.sdk/bin/python $(BIN)/python -m pytest -m sdk

clients-test: $(VENV)/.dev .clients/.ready ## Run clients of OpenAI's API and schemathesis against a service (SCHEMATHESIS_EXAMPLES=1000)
	CLIENTS_PYTHON=.clients/bin/python $(BIN)/python -m pytest tests/clients -m clients

wheel-test: $(VENV)/.dev ## Build the wheel, install the client and the service from it, and use both
	$(BIN)/python -m pytest tests/packing -m wheel

image: ## Build the container image (VARIANT=cpu or gpu)
	$(CONTAINER_ENGINE) build $(IMAGE_OPTIONS) --build-arg VARIANT=$(VARIANT) \
		--build-arg TORCH_INDEX=$(IMAGE_TORCH_INDEX) \
		--build-arg VERSION=$(VERSION) --build-arg REVISION=$(REVISION) -t $(IMAGE) .

image-test: $(VENV)/.dev ## Test the image: as SageMaker runs it, and as an unprivileged user
	$(BIN)/hadolint Dockerfile
	CONTAINER_ENGINE=$(CONTAINER_ENGINE) IMAGE=$(IMAGE) $(BIN)/python -m pytest -m image

sbom: $(VENV)/.dev ## List the image's packages in sbom.json (CycloneDX)
	CONTAINER_ENGINE=$(CONTAINER_ENGINE) IMAGE=$(IMAGE) $(BIN)/python -m tests.image.sbom

serve: $(VENV)/.run ## Serve the built-in model on port 8080 (ARGS="--model ... --port ...")
	$(BIN)/sweetspot serve $(ARGS)

benchmark: $(VENV)/.dev ## Run the benchmarks; results go to benchmarks/results
	$(BIN)/python -m benchmarks.ceiling
	$(BIN)/python -m benchmarks.fetch
	$(BIN)/python -m benchmarks.preprocess
	$(BIN)/python -m benchmarks.spin
	$(BIN)/python -m benchmarks.retrieval

benchmark-load: $(VENV)/.run ## Measure a full-size model under load, some 30 minutes on an idle machine
	$(BIN)/python -m benchmarks.batching
	$(BIN)/python -m benchmarks.lanes
	$(BIN)/python -m benchmarks.transform
	$(BIN)/python -m benchmarks.overload
	$(BIN)/python -m benchmarks.models

benchmark-peers: $(VENV)/.dev ## Compare with Flask, LitServe and infinity: 35 minutes, first time 45
	$(BIN)/python -m benchmarks.backends
	TORCH_INDEX="$(TORCH_INDEX)" $(BIN)/python -m benchmarks.peers
	TORCH_INDEX="$(TORCH_INDEX)" $(BIN)/python -m benchmarks.startup

benchmark-gpu: $(VENV)/.dev ## Check and measure a CUDA card, 7 minutes (GPU="--device cpu --quick")
	$(BIN)/python -m benchmarks.gpu --output .gpu $(GPU)

lint: $(VENV)/.dev ## Check style and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(VENV)/.dev ## Check types
	$(BIN)/mypy

check: lint types test ## Run all that CI runs

fmt: $(VENV)/.dev ## Format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

docs: $(VENV)/.run ## Write the generated pages
	$(BIN)/python -m docs.generate

clean: ## Remove everything that the targets made
	rm -rf $(VENV) .peers .gpu .sdk .clients .openclip demo fuzz-findings *.egg-info .pytest_cache .mypy_cache .ruff_cache .import_linter_cache

$(VENV)/.python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Python 3.11 or newer is needed; say where: make $(MAKECMDGOALS) PYTHON=python3.11"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.run: $(VENV)/.python pyproject.toml constraints.txt
	@echo "installing; torch is large, this takes a minute or more"
	$(if $(TORCH_INDEX),$(PIP) torch --index-url $(TORCH_INDEX))
	$(PIP) -e '.[serve]'
	@touch $@

$(VENV)/.train: $(VENV)/.run
	$(PIP) -e '.[train]'
	@touch $@

$(VENV)/.dev: $(VENV)/.run
	$(PIP) -e '.[dev]'
	@touch $@

.sdk/.ready: tests/sdk/requirements.txt
	$(PYTHON) -m venv .sdk
	.sdk/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

.clients/.ready: tests/clients/requirements.txt
	$(PYTHON) -m venv .clients
	.clients/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@

.openclip/.ready: tests/openclip/requirements.txt constraints.txt
	$(PYTHON) -m venv .openclip
	.openclip/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt torch $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX))
	.openclip/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r $<
	@touch $@
