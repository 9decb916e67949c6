# The one door: every program, gate and proof of this project is a target here. `make help` lists them.
# Needs Python >= 3.11 with venv, make and git; everything else comes hashed from requirements/.
.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.SUFFIXES:
.PHONY: help setup demo demo-app test check crash crash-full fuzz e2e bench-events bench-console bench-download bench-agent bench-engine bench-gates bench-halt gen lint format type imports contract contract-baseline roles docs lock shots agent-artifact clean

VENV := .venv
GEN := .venv-gen
BIN := $(VENV)/bin
PY := $(BIN)/python
UV := $(BIN)/uv
# Programs that start often find their bytecode: without it each start would compile thousands of modules anew.
unexport PYTHONDONTWRITEBYTECODE
# What pip and uv say goes here: it would name package indexes and folders of this machine.
LOG = setup.log
PLAIN_COMPILE = $(UV) pip compile --quiet --no-header --no-emit-index-url --generate-hashes --universal $(if $(UPGRADE),--upgrade)

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## /{printf "  make %-20s %s\n", $$1, $$2}' Makefile

## Set-up: stamps in the environments make every step idempotent.

setup: $(VENV)/.installed ## Make .venv from the hashed locks, and install the project in it

$(VENV)/.made:
	@for python in python3.11 python3 python3.12 python3.13 python3.14; do \
	  if $$python -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$${found:-}" ]; then echo "Python 3.11 or newer with its venv module is needed (on Debian the package python3-venv)" >&2; exit 1; fi; \
	test -x $(PY) || $$found -m venv $(VENV)
	@touch $@

$(VENV)/.uv: requirements/uv.txt $(VENV)/.made
	@$(PY) -m pip install -qq --no-input --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
	  -r requirements/uv.txt >$(VENV)/$(LOG) 2>&1 || { echo "uv could not be installed: see $(VENV)/$(LOG)" >&2; exit 1; }
	@touch $@

$(VENV)/.synced: requirements/dev.txt $(VENV)/.uv
	@$(UV) pip sync --require-hashes --python $(PY) requirements/dev.txt >$(VENV)/$(LOG) 2>&1 \
	  || { echo "the locked packages could not be installed: see $(VENV)/$(LOG)" >&2; exit 1; }
	@touch $@

$(VENV)/.installed: pyproject.toml $(VENV)/.synced
	@$(UV) pip install --python $(PY) --no-deps --no-build-isolation --editable . >$(VENV)/$(LOG) 2>&1 \
	  || { echo "the project could not be installed: see $(VENV)/$(LOG)" >&2; exit 1; }
	@touch $@

$(GEN)/.synced: requirements/gen.txt $(VENV)/.uv
	@test -x $(GEN)/bin/python || $(UV) venv --quiet --python $(PY) $(GEN)
	@$(UV) pip sync --require-hashes --python $(GEN)/bin/python requirements/gen.txt >$(GEN)/$(LOG) 2>&1 \
	  || { echo "the generator could not be installed: see $(GEN)/$(LOG)" >&2; exit 1; }
	@touch $@

## Use

demo: setup ## A server and 12 agents: a good release spreads, two bad ones are stopped (KEEP=1 leaves the fleet up)
	@$(PY) -m tools.demo.main $(if $(KEEP),--keep)

demo-app: setup ## A web shop and its gateway on 2 hosts: migrations, ways back, a swap under load (KEEP=1 leaves it up)
	@$(PY) -m tools.demo.app.main $(if $(KEEP),--keep)

shots: setup ## Pictures of every screen of the console in build/shots (needs libcairo)
	@$(PY) -m tools.shots build/shots

agent-artifact: setup ## Build the agent's release artefact into dist/ (VERSION=1.2.3)
	@test -n "$(VERSION)" || { echo "say which version: make agent-artifact VERSION=1.2.3" >&2; exit 2; }
	@$(BIN)/fleetroll release build --version "$(VERSION)" --out dist

## Proof

test: setup ## Run every test, suite by suite, with the time of each
	@$(PY) -m tools.house.suites test

check: setup $(GEN)/.synced ## All gates and all tests: what CI runs
	@$(PY) -m tools.house.suites check

crash: setup ## A sample of all crash cases, real programs first, without repeats (SEED=1 MINUTES=10)
	@SEED="$(or $(SEED),$(shell date +%s))" MINUTES="$(or $(MINUTES),10)" $(PY) -m pytest -q -s --full tests/crash

crash-full: setup ## Every crash case: each point, victim and fault of each kind (takes many hours; SEED=1)
	@SEED="$(SEED)" MINUTES= $(PY) -m pytest -q -s --full tests/crash

fuzz: setup ## Bend artefacts at random and see what the extractor makes of each (SEED=1 MINUTES=10)
	@SEED="$(or $(SEED),$(shell date +%s))" MINUTES="$(or $(MINUTES),10)" $(PY) -m pytest -q -s tests/attacks/archives/test_fuzz.py

e2e: setup ## Whole programs: every point of the kill sweep, the console in tmux (needs tmux), all hostile text
	@command -v tmux >/dev/null || { echo "tmux is needed (on Debian the package tmux)" >&2; exit 1; }
	@$(PY) -m pytest -q -s --full --timeout 3600 tests/e2e/in_tmux.py
	@$(PY) -m pytest -q -s --full --timeout 3600 tests/e2e tests/tui/test_hostile.py

bench-events: setup ## What watching costs the server, beside the same changes with nobody watching
	@$(PY) -m bench.watchers 2>/dev/null

bench-console: setup ## The console on 10,000 hosts with 5,000 changes/s, beside the framework's own table (MINUTES=5)
	@$(PY) -m bench.console $(if $(MINUTES),--minutes $(MINUTES))

bench-download: setup ## How well the bandwidth cap of downloads holds, beside what a sender got rid of
	@$(PY) -m bench.download 2>/dev/null

bench-halt: setup ## From the report that breaks the limit to the last Go, in RUNS=200 races
	@$(PY) -m bench.halting $(if $(RUNS),--runs $(RUNS)) 2>/dev/null

bench-engine: setup ## What one report costs the server in a rollout of 1,000 hosts and of 100,000
	@$(PY) -m bench.engine 2>/dev/null

bench-gates: setup ## Hosts broken before a gate halts, and good releases that it halts, beside fixed thresholds (DRAW=1)
	@$(PY) -m bench.gates $(if $(DRAW),--draw)

bench-agent: setup ## What the agent costs its host: memory, processor while idle, start (MINUTES=1)
	@$(PY) -m bench.agent $(if $(MINUTES),--minutes $(MINUTES)) 2>/dev/null

lint: setup ## Lint and formatting of Python and protobuf
	@$(PY) -m tools.house.suites lint format proto-lint proto-format

format: setup ## Format Python and protobuf in place
	@$(BIN)/ruff check --quiet --fix-only . && $(BIN)/ruff format --quiet . && $(BIN)/buf format -w

type: setup ## Strict type check
	@$(PY) -m tools.house.suites types types-3.10

imports: setup ## The directions of imports
	@$(PY) -m tools.house.suites imports

contract: setup $(GEN)/.synced ## The contract's gates: breaking changes, drift of generated code
	@$(PY) -m tools.house.suites proto-breaking drift

## Made files: run these after a change, and commit what they write

gen: setup $(GEN)/.synced ## Generate code from protos/ into generated/
	@$(BIN)/buf generate

docs: setup ## Write the generated pages of docs/
	@$(PY) -m tools.house.docs
	@$(PY) -m tools.states_doc

roles: setup ## Write the table of roles that the contract declares
	@$(PY) -m tools.house.roles

contract-baseline: setup ## Renew the image that breaking changes are judged against (rule: CONTRIBUTING.md)
	@$(BIN)/buf build --exclude-source-info -o protos/baseline.binpb

lock: $(VENV)/.uv ## Resolve the locks again (UPGRADE=1 takes the newest versions)
	@$(PLAIN_COMPILE) --python-version 3.11 --extra all --group dev -o requirements/dev.txt pyproject.toml
	@$(PLAIN_COMPILE) --python-version 3.10 -o requirements/agent.txt pyproject.toml
	@$(PLAIN_COMPILE) --python-version 3.11 --group gen -o requirements/gen.txt
	@$(PLAIN_COMPILE) --python-version 3.11 --group uv -o requirements/uv.txt

clean: ## Remove environments, caches and builds
	@rm -rf $(VENV) $(GEN) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .grimp_cache .import_linter_cache .coverage .coverage.*
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
