# Every target is one or two plain commands that also work when typed. `make` alone lists them.
.DEFAULT_GOAL := help
SHELL := /bin/bash
# The same examples each time: red is the change's fault. More of them: make test ISKRA_TEST_PROFILE=thorough
export ISKRA_TEST_PROFILE ?= ci
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.iskra-setup
UNIT := tests/schemas tests/pipeline tests/alerts

.PHONY: help setup lint format test test-quick test-kafka soak demo bench bench-quick wheel kafka-sums lock clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):[^#]*## /\1\t/' | expand -t 14

setup: $(STAMP) ## build .venv with the pinned dependencies and the command .venv/bin/iskra

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python >= 3.11 is needed, $(PYTHON) is $$($(PYTHON) -V 2>&1): make setup PYTHON=python3.11" >&2; exit 2; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv || \
	  { echo "python3 -m venv failed: apt-get install python3-venv" >&2; rm -rf .venv; exit 2; }
	@echo "installing the pinned dependencies into .venv"
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --editable .
	@touch $(STAMP)

lint: setup ## style, format, types, import directions, spelling; changes nothing
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/codespell

format: setup ## let ruff put the code in order
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

test: lint test-quick test-kafka ## everything: lint, tests without a broker, pure code fully covered, tests with a real Kafka

test-quick: setup ## unit, property and text tests without a broker, then 100 % branches of pure code
	@rm -f .coverage .coverage.*
	$(BIN)/coverage run -m pytest -n 2 -m "not kafka" $(UNIT)
	@$(BIN)/coverage combine -q
	$(BIN)/coverage report --fail-under=100
	$(BIN)/python -m pytest -n 2 -m "not kafka" $(UNIT:%=--ignore=%)

test-kafka: setup ## the tests that need a real Kafka, in two processes with a broker each
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder -m "kafka and not mutants"

soak: setup ## three nodes and all workers under ten minutes of faults, then the checker's verdict
	$(BIN)/iskra chaos soak --minutes 10

demo: setup ## a real Kafka, workers, sixty links, bad weather: watch it speak
	$(BIN)/iskra demo

bench: setup ## speed beside real peers on one log: oracle first, then numbers; about an hour
	$(BIN)/python -m benchmarks.run

bench-quick: setup ## the same on a small log, at most five minutes
	$(BIN)/python -m benchmarks.run --quick

wheel: setup ## build the wheel, look at its contents, use it away from the checkout
	rm -rf dist && $(BIN)/python -m build --no-isolation --outdir dist . >/dev/null
	$(BIN)/check-wheel-contents dist/*.whl

kafka-sums: setup ## after a change of versions in deploy/kafka/pom.xml: write SHA256SUMS anew
	$(BIN)/python -c 'from iskra.apps.broker import write_sums; print(write_sums(), "jars")'

lock: ## after a change of dependencies: write requirements.lock anew (needs uv)
	uv pip compile pyproject.toml --group dev --universal --generate-hashes --no-header --no-annotate --python-version 3.11 --quiet --output-file requirements.lock

clean: ## remove what the targets made (not the Kafka jars in the cache)
	@test ! -x $(BIN)/iskra || { $(BIN)/iskra down && $(BIN)/iskra broker stop; } >/dev/null 2>&1 || true
	rm -rf .venv .iskra dist build .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage*
