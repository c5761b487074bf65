# Two commands are all the set-up: `make up` and `make test`.
PYTHON ?= python3
STACK ?= dev
PROWLER ?= $(shell command -v prowler)
CHECKOV ?= $(shell command -v checkov)
VENV := .venv
BIN := $(VENV)/bin
UV_VERSION := 0.13.8
INSTALLED := $(VENV)/.installed

# Where this is set, every command compiles every module anew: three times slower to start.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install up test slow chaos lint docs instances lock conformance bench audit clean

help: ## Show the targets.
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t14

install: $(INSTALLED) ## Make .venv/ with mlinfra and all that it needs, at locked versions.

# pip brings uv at a pinned version; uv then installs the lock, every file checked against its hash.
$(INSTALLED): pyproject.toml requirements.lock Makefile
	@echo "Installing into $(VENV)/ …"
	@$(PYTHON) -c 'import sys; sys.exit("mlinfra needs Python 3.11 or newer, this is " + sys.version.split()[0] if sys.version_info < (3, 11) else 0)'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

up: $(INSTALLED) ## Install, get the tools, start the local target and bring the reference blueprint up.
	@$(BIN)/mlinfra up --stack $(STACK) --yes

# Tools are had before the first test: building one within a test would take more than the test's time.
test: $(INSTALLED) ## Run the test suite: the real engine, moto and the local cluster included.
	@$(BIN)/mlinfra setup --monitoring
	@$(BIN)/python -m pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder \
		-m "not slow and not chaos and not conformance"

slow: $(INSTALLED) ## Run the tests that take longer than a minute each.
	@$(BIN)/mlinfra setup --monitoring --rollouts
	@$(BIN)/python -m pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder -m "slow and not chaos"

chaos: $(INSTALLED) ## Run the state service with the real engine: every command, races, kills. Many minutes.
	@$(BIN)/mlinfra setup
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal -m chaos

conformance: $(INSTALLED) ## Run the golden blueprints through the official plugins, on moto and the local cluster.
	@$(BIN)/mlinfra setup
	@$(BIN)/python -m pytest -m conformance

bench: $(INSTALLED) ## Measure: everyday commands, then many resources beside the Pulumi SDK and Terraform.
	@$(BIN)/python bench/commands.py
	@$(BIN)/python bench/scale.py

audit: $(INSTALLED) ## Scan prod: manifests with Checkov (CHECKOV=its path), stacks on the local target with Prowler (PROWLER=its path).
	@$(BIN)/python -m audit.checkov --checkov "$(CHECKOV)"
	@$(BIN)/python -m audit.prowler --prowler "$(PROWLER)"

lint: $(INSTALLED) ## Format, lint, types and layers.
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

docs: $(INSTALLED) ## Write docs/reference/ anew from the models.
	@$(BIN)/python -m docs.generator

instances: $(INSTALLED) ## Write the table of instance types anew from moto's copy of DescribeInstanceTypes.
	@$(BIN)/python -m mlinfra.local.instance_types

lock: ## Take the newest versions that pyproject.toml allows into requirements.lock.
	@$(BIN)/uv pip compile --quiet --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-header --group dev pyproject.toml --output-file requirements.lock

clean: ## Stop the local target and remove .mlinfra/; .venv/ and the cache stay.
	@test ! -x $(BIN)/mlinfra || $(BIN)/mlinfra local down
	@rm -rf .mlinfra
