# Everything a developer types. GNU make 3.81 or newer; `make` alone shows the list.

SHELL := /bin/sh
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
LOCK := --quiet --strip-extras --generate-hashes --allow-unsafe --no-emit-index-url \
        --no-emit-trusted-host --no-annotate --no-header
SHORTLY = $(if $(SHORT),--short)
# CI shows where its time went.
TIMES := $(if $(filter true,$(CI)),--durations=50)
CODE := $(wildcard flows connectors state monitoring tools tests)
# Tests start programs by the hundred: these read compiled modules, also where the environment says that nobody keeps any.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help check-python demo test test-cli test-flows test-rest test-slow test-kafka test-cluster test-quiet monitoring-check fuzz faults holds golive sim bench pages lint format types ci ci-unit ci-slow ci-servers lock clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-17s%s\n", $$1, $$2}' $(MAKEFILE_LIST)

check-python: ## say which Python is used, or what is missing
	@sh tools/find-python.sh

demo: $(VENV)/.run ## play a year of retail trading and check the result (ARGS="--synthetic" for a small one)
	@$(BIN)/penstock demo $(ARGS)

test: $(VENV)/.dev ## run the tests that need no server of their own (ARGS="-k name" to choose)
ifeq ($(strip $(ARGS)),)
	@$(MAKE) --no-print-directory $(if $(findstring jobserver,$(MAKEFLAGS)),,--jobs=3) test-cli test-flows test-rest
else
	@$(BIN)/python -m pytest $(TIMES) $(ARGS)
endif

# Half of the time each waits for processes that it started.
test-cli: $(VENV)/.dev ## a part of test: those of the command line
	@$(BIN)/python -m pytest $(TIMES) tests/flows/cli

test-flows: $(VENV)/.dev ## a part of test: those of the flows
	@$(BIN)/python -m pytest $(TIMES) tests/flows --ignore=tests/flows/cli

test-rest: $(VENV)/.dev ## a part of test: all others
	@$(BIN)/python -m pytest $(TIMES) tests --ignore=tests/flows

test-slow: $(VENV)/.dev ## run the long tests, the demo from end to end among them (one wants the same as test-kafka)
	@$(BIN)/python -m pytest -m "slow and not cluster and not quiet" $(TIMES) $(ARGS)

test-kafka: $(VENV)/.dev ## run the tests on a real Apache Kafka (wants Java 17 and Maven, or its jars in .servers)
	@$(BIN)/python -m pytest -m "kafka and not cluster and not slow and not quiet" $(TIMES) $(ARGS)

test-cluster: $(VENV)/.dev ## run the tests on a Redis Cluster of six processes (wants redis-server)
	@$(BIN)/python -m pytest -m "cluster and not slow and not quiet" $(TIMES) $(ARGS)

test-quiet: $(VENV)/.dev ## run the tests that measure time, and want a machine that does nothing else (wants the same as test-kafka)
	@$(BIN)/python -m pytest -m quiet $(TIMES) $(ARGS)

monitoring-check: $(VENV)/.dev ## check rules, alerts, runbook and dashboards against a real Prometheus (wants prometheus and promtool)
	@$(BIN)/python -m tests.monitoring

fuzz: $(VENV)/.dev ## send odd messages into decode and normalise for a while (SECONDS=60)
	@$(BIN)/python -m tests.fuzz --seconds $(or $(SECONDS),60) $(ARGS)

faults: $(VENV)/.dev ## kill, cut and roll back real servers, and count again (SHORT=1 for a few minutes; BREAK=rule takes a rule out, BREAK=all each in turn)
	@$(BIN)/python -m tests.faults $(SHORTLY) $(if $(BREAK),--break $(BREAK)) $(ARGS)

holds: $(VENV)/.dev ## claim a million times from several processes, with kills and expiries, and count to the unit (SHORT=1 for a minute)
	@$(BIN)/python -m tests.holds $(SHORTLY) $(ARGS)

golive: $(VENV)/.dev ## play a Monday morning of a go-live on real data: half a load, kills, bad feeds, a silent shop, a wrong policy (SHORT=1 with a few shops)
	@$(BIN)/python -m tests.golive $(SHORTLY) $(if $(BREAK),--break $(BREAK)) $(ARGS)

sim: $(VENV)/.dev ## run the flows on a modelled log, store, clock and network (SEEDS=1000; --seed N --trace tells one run)
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),1000) $(ARGS)

bench: $(VENV)/.dev $(VENV)-bench/.ready ## measure throughput and latency against what one would take instead, for hours (ARGS="--quick")
	@$(BIN)/python -m tests.benchmarks $(ARGS)

pages: $(VENV)/.dev ## write the reference pages (settings, metrics, logs, messages) from the declarations in the code
	@$(BIN)/python -m tools.pages $(ARGS)

lint: $(VENV)/.dev ## check style, form, types, import rules and spelling
	@$(BIN)/ruff check $(CODE)
	@$(BIN)/ruff format --check $(CODE)
	@$(BIN)/mypy $(CODE)
	@$(BIN)/lint-imports
	@$(BIN)/codespell
	@echo "lint: clean"

format: $(VENV)/.dev ## put the code into form and mend what can be mended by itself
	@$(BIN)/ruff check --fix-only $(CODE)
	@$(BIN)/ruff format $(CODE)

types: $(VENV)/.dev ## check types only
	@$(BIN)/mypy $(CODE)

ci: ## everything that CI runs: set-up, lint, all tests on all servers, monitoring, simulation, short faults and holds
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory --jobs=5 --output-sync=target ci-unit ci-slow ci-servers
	@$(MAKE) --no-print-directory test-quiet

# Its lanes wait for servers most of the time: side by side they take little more than the longest one; the first of
# them has three parts. GNU make 4.
ci-unit: ## a lane of ci: tests without servers of their own, simulation, holds
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory sim
	@$(MAKE) --no-print-directory holds SHORT=1

ci-slow: ## a lane of ci: long tests
	@$(MAKE) --no-print-directory test-slow

ci-servers: ## a lane of ci: tests on Kafka and on a cluster, monitoring, short faults
	@$(MAKE) --no-print-directory test-kafka
	@$(MAKE) --no-print-directory test-cluster
	@$(MAKE) --no-print-directory monitoring-check
	@$(MAKE) --no-print-directory faults SHORT=1

lock: ## pin the newest dependencies, with hashes (wants Python 3.11, the oldest one served)
	@python=$$(sh tools/find-python.sh --lock) && $$python -m venv --clear $(VENV)-lock
	@$(VENV)-lock/bin/python -m pip --quiet --disable-pip-version-check install pip-tools==7.6.2
	@env -u PIP_FIND_LINKS $(VENV)-lock/bin/pip-compile --upgrade $(LOCK) -o requirements.txt requirements.in
	@env -u PIP_FIND_LINKS $(VENV)-lock/bin/pip-compile --upgrade $(LOCK) -o requirements-dev.txt requirements-dev.in
	@env -u PIP_FIND_LINKS $(VENV)-lock/bin/pip-compile --upgrade $(LOCK) -o requirements-bench.txt requirements-bench.in
	@rm -rf $(VENV)-lock
	@echo "lock: requirements.txt, requirements-dev.txt and requirements-bench.txt are written"

clean: ## remove the virtual environment and caches (stored data, .penstock, stays)
	@rm -rf $(VENV) $(VENV)-lock $(VENV)-bench *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	@find $(CODE) -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps let the second run start at once; a changed requirements file brings pip back.
$(VENV)/.run: requirements.txt pyproject.toml
	@python=$$(sh tools/find-python.sh) && echo "setting up $(VENV) with $$python" && \
	    { $(BIN)/python -c "" 2>/dev/null || $$python -m venv --clear $(VENV); }
	@echo "installing the pinned dependencies (about 150 MB the first time)"
	@$(PIP) install --require-hashes -r requirements.txt
	@$(PIP) install --no-deps --no-index --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.txt $(VENV)/.run
	@echo "installing the tools for tests and checks"
	@$(PIP) install --require-hashes -r requirements-dev.txt
	@touch $@

# Quix Streams and Faust pin versions that collide with ours. Tests of the peers pass them over while this is not there.
$(VENV)-bench/.ready: requirements-bench.txt
	@python=$$(sh tools/find-python.sh) && echo "setting up $(VENV)-bench with $$python" && \
	    { $(VENV)-bench/bin/python -c "" 2>/dev/null || $$python -m venv --clear $(VENV)-bench; }
	@$(VENV)-bench/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes -r requirements-bench.txt
	@touch $@
