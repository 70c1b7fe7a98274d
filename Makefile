# Everything runs in a virtual environment of its own; the first command makes it.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SERVER ?= mysql
SOAK_SECONDS ?= 600
# Tests mostly wait for servers, so one more than there are processors are run at a time.
WORKERS ?= $(shell echo $$(($$(nproc) + 1)))

export HEADGATE_SERVERS_FLAVOR ?= $(SERVER)
ifeq ($(SERVER),mariadb)
demo: export HEADGATE_STATE ?= $(HOME)/.local/share/headgate-mariadb
endif

.PHONY: help compiled demo demo-check test conformance drivers check format bench-proxy bench-migrator bench-schema pairs soak clean

help: ## show what there is
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "%-16s %s\n", $$1, $$2}'

$(VENV)/installed: pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Headgate needs Python 3.11 or newer; name one with: make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
		{ echo "Python's venv module is missing; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	@echo "installing Headgate and its libraries into $(VENV)"
	@$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@

compiled: $(VENV)/installed ## what runs for every statement, as C; done by itself where it matters
	@$(BIN)/python hatch_build.py

demo: $(VENV)/installed ## a sample shop with live traffic, on this machine, until Ctrl-C
	@$(BIN)/headgate demo

demo-check: $(VENV)/installed ## the demo's whole story without a person; SERVER=mariadb for MariaDB
	@$(BIN)/python -m control.demo.check

test: compiled ## all tests, against real MySQL and MariaDB
	@env -u HEADGATE_SERVERS_FLAVOR $(BIN)/pytest --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

conformance: compiled ## every kind of schema change on both servers, to and fro; writes docs/conformance.md
	@env -u HEADGATE_SERVERS_FLAVOR $(BIN)/python -m tests.conformance

drivers: compiled ## every client library, directly and through Headgate; writes docs/drivers.md
	@env -u HEADGATE_SERVERS_FLAVOR HEADGATE_DRIVERS=write $(BIN)/pytest tests/drivers

check: $(VENV)/installed ## format, lint, types, import rules, dead and repeated code; no server needed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/vulture
	$(BIN)/pylint --disable=all --enable=duplicate-code conf proxy router migrator control bench

format: $(VENV)/installed ## put the code into its form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench-proxy: compiled ## speed and memory beside haproxy and MySQL Router
	@$(BIN)/python -m bench.proxy

soak: $(VENV)/installed ## ten minutes of every kind of client, with backends and a worker killed
	@$(BIN)/python -m bench.soak --seconds $(SOAK_SECONDS)

bench-migrator: $(VENV)/installed ## copy speed beside native ALTER and pt-online-schema-change
	@$(BIN)/python -m bench.migrator

bench-schema: $(VENV)/installed ## reading, comparing and checking schemas of many tables
	@$(BIN)/python -m bench.schema

pairs: $(VENV)/installed ## made-up pairs of schemas, each proved to become the other and back, on both servers
	@$(BIN)/python -m tests.migrator.schema.pairs

clean: ## remove the virtual environment and caches
	rm -rf $(VENV) build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
