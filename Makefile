# Every command of this project. `make` alone lists them; a line of help is the text after ##,
# a heading is a line that starts with ##@.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

MODELS ?= models.yaml
DATA_DIR ?= data
VENV ?= .venv
PYTHON ?=
RUN := $(VENV)/bin/python
INJECT = $(if $(MODEL_SERVER_PORT),--server http://127.0.0.1:$(MODEL_SERVER_PORT)) $(ARGS)
export MODELS DATA_DIR

# The stamps say that the environment holds what the lock says; they are older than a lock
# that has changed since.
RUN_STAMP := $(VENV)/.installed-run
DEV_STAMP := $(VENV)/.installed-dev

##@ The stack
.PHONY: up demo down status doctor report
up: $(RUN_STAMP) ## Start everything in the foreground; Ctrl-C stops it (DETACH=1: in the background, VERBOSE=1: show all logs)
	@scripts/system_packages.sh prometheus alertmanager
	@exec $(RUN) -m stack up $(if $(DETACH),--detach) $(if $(VERBOSE),--verbose)

demo: ## The same, with simulated GPUs where the machine has none
	@SIMULATE_GPU=1 $(MAKE) up

down: $(RUN_STAMP) ## Stop a running stack from another terminal
	@exec $(RUN) -m stack down

status: $(RUN_STAMP) ## Show every process: up or down, address, pid, health
	@exec $(RUN) -m stack status

doctor: $(RUN_STAMP) ## Ask the running stack whether all of it works, and say what to do (ARGS="--format json")
	@exec $(RUN) -m stack doctor $(ARGS)

report: $(RUN_STAMP) ## Tell how promises were kept, how fast models were, what drifted (ARGS="drift --model fraud --from 7d --format html --out drift.html")
	@exec $(RUN) -m generator report $(or $(ARGS),sla) --models $(MODELS) $(if $(PROMETHEUS_PORT),--address prometheus=127.0.0.1:$(PROMETHEUS_PORT)) $(if $(TIME_SCALE),--time-scale $(TIME_SCALE))

##@ The demo, while the stack runs
.PHONY: inject-errors inject-latency inject-shift inject-nothing
inject-errors: $(RUN_STAMP) ## Let the model server fail half of its requests (ARGS="--ratio 0.2 --for 5m")
	@exec $(RUN) -m examples.demo.inject errors $(INJECT)

inject-latency: $(RUN_STAMP) ## Let the model server answer slowly
	@exec $(RUN) -m examples.demo.inject latency $(INJECT)

inject-shift: $(RUN_STAMP) ## Shift one feature of the traffic away from the training data
	@exec $(RUN) -m examples.demo.inject shift $(INJECT)

inject-nothing: $(RUN_STAMP) ## Take every disturbance back
	@exec $(RUN) -m examples.demo.inject nothing $(INJECT)

##@ Whether alerts come
.PHONY: gameday
gameday: $(RUN_STAMP) ## Break everything that alerts claim to catch, on a stack of its own, and see who is told when (ARGS="--list")
	@scripts/system_packages.sh prometheus alertmanager compiler
	@exec $(RUN) -m gameday --data-dir $(DATA_DIR) $(ARGS)

##@ Benchmarks, each beside what one would use otherwise
bench-%: $(RUN_STAMP) ## Run benchmarks/NAME.py and keep its result under benchmarks/results (ARGS="--repeats 3")
	@exec $(RUN) -m benchmarks.$(subst -,_,$*) $(ARGS)

##@ Generated files
.PHONY: generate generate-dashboards preview
generate: $(RUN_STAMP) ## Render everything from models.yaml: Prometheus, Alertmanager, Grafana, docs
	@scripts/system_packages.sh prometheus alertmanager
	$(RUN) -m generator render --models $(MODELS) --out .

generate-dashboards: $(RUN_STAMP) ## Render the Grafana dashboards alone
	@scripts/system_packages.sh prometheus alertmanager
	$(RUN) -m generator render --models $(MODELS) --out . --only dashboards

preview: $(RUN_STAMP) ## Draw all dashboards from the running Prometheus into DATA_DIR/preview, as HTML and PNG (ARGS="--range 6h")
	@exec $(RUN) -m preview render --out $(DATA_DIR)/preview $(if $(PROMETHEUS_PORT),--prometheus http://127.0.0.1:$(PROMETHEUS_PORT)) $(ARGS)

##@ Development
.PHONY: test test-rules test-kill check fuzz lint format lock clean
test: $(DEV_STAMP) ## Run all tests, with real processes, one worker a core (ARGS="tests/contract -k spec" chooses)
	@scripts/system_packages.sh prometheus alertmanager compiler chromium postgresql victoria-metrics
	$(RUN) -m pytest --numprocesses auto --dist loadfile $(ARGS)

test-rules: $(RUN_STAMP) ## Test the rules with promtool, every alert of every model, and the routes with amtool
	@scripts/system_packages.sh prometheus alertmanager
	$(RUN) -m generator test --models $(MODELS) --out . --every-model

check: $(DEV_STAMP) lint ## Fail on stale generated files, lint, formatting or types
	@scripts/system_packages.sh prometheus alertmanager
	$(RUN) -m generator check --models models.yaml --out .

test-kill: $(DEV_STAMP) ## Kill the sidecar under load, with SQLite and with PostgreSQL, KILLS times each (300)
	@scripts/system_packages.sh prometheus alertmanager postgresql
	KILLS=$(or $(KILLS),300) $(RUN) -m pytest -n 0 -rP tests/exporters/sidecar/test_kill.py $(ARGS)

fuzz: $(DEV_STAMP) ## Send mutated bodies to the sidecar's decoders for a minute (ARGS="-max_total_time=600")
	$(RUN) -m tests.exporters.sidecar.fuzz_bodies -max_total_time=60 $(ARGS)

lint: $(DEV_STAMP) ## ruff and mypy --strict over everything
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

format: $(DEV_STAMP) ## Format the code and fix what can be fixed safely
	$(RUN) -m ruff check --fix .
	$(RUN) -m ruff format .

lock: ## Resolve pyproject.toml anew into requirements*.txt (UPGRADE=1: to the newest versions)
	@PYTHON='$(PYTHON)' scripts/lock.sh $(if $(UPGRADE),--upgrade)

clean: ## Remove the environment, caches and the data of a stopped stack
	@if [[ -e $(DATA_DIR)/stack.json ]]; then echo 'The stack may be running: make down first.' >&2; exit 1; fi
	rm -rf -- $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build *.egg-info $(DATA_DIR)
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help: # the default: not listed itself
	@awk 'BEGIN {FS = ":.*## "} \
	  /^##@ / {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z][a-z-]*%?:.*## / {sub(/%/, "NAME", $$1); printf "  make %-20s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))
	@printf '\nVariables: MODELS, DATA_DIR, TIME_SCALE, {PROMETHEUS,ALERTMANAGER,GRAFANA,RESPONDER,DRIFT,GPU,SIDECAR,MODEL_SERVER}_PORT\n'

$(RUN_STAMP): requirements.txt pyproject.toml scripts/environment.sh
	@PYTHON='$(PYTHON)' scripts/environment.sh $(VENV) requirements.txt
	@touch $@

$(DEV_STAMP): requirements-dev.txt requirements.txt pyproject.toml scripts/environment.sh
	@PYTHON='$(PYTHON)' scripts/environment.sh $(VENV) requirements-dev.txt
	@touch $@ $(RUN_STAMP)
