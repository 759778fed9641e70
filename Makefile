# Lifestage: `make help` lists what there is. Paths may hold spaces; nothing here needs root.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
PYTHON ?= python3.11
SOURCE ?= complete_journey
ENGINE ?= $(or $(LIFESTAGE_ENGINE),sail)
LANDING ?=

# One shop, one home; what another engine computes stays apart, so that the two can be compared.
home_suffix := $(if $(filter-out complete_journey,$(SOURCE)),-$(SOURCE))$(if $(filter-out sail,$(ENGINE)),-$(subst :,-,$(subst /,-,$(ENGINE))))
export LIFESTAGE_HOME ?= $(CURDIR)/.lifestage$(home_suffix)
export LIFESTAGE_ENGINE := $(ENGINE)
jobs := .venv/bin/python -m jobs
pip := -m pip install -qq --disable-pip-version-check

.PHONY: help env run up down test test-faults bench lint lock docs secrets wheel
help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

env: .venv/.current .venv-airflow/.current  ## both environments from their locks

.venv/.current: requirements-jobs.lock
	@echo "making .venv (jobs) from $<"
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(None if v[:2] == (3, 11) else f"Python 3.11 is needed, $(PYTHON) is {v.major}.{v.minor}: make PYTHON=/path/to/python3.11 …")'
	@$(PYTHON) -m venv --clear .venv
	@.venv/bin/python $(pip) -r $<
	@touch $@

.venv-airflow/.current: requirements-airflow.lock
	@echo "making .venv-airflow (orchestrator) from $<"
	@$(PYTHON) -m venv --clear .venv-airflow
	@.venv-airflow/bin/python $(pip) -r $<
	@touch $@

.venv/.test: .venv/.current requirements-test.in requirements-test-jobs.in requirements.txt
	@.venv/bin/python $(pip) -r requirements-test.in -r requirements-test-jobs.in -c requirements.txt
	@touch $@

.venv-airflow/.test: .venv-airflow/.current requirements-test.in requirements.txt
	@.venv-airflow/bin/python $(pip) -r requirements-test.in -c requirements.txt
	@touch $@

.venv/.bench: .venv/.test requirements-bench.in requirements.txt
	@.venv/bin/python $(pip) -r requirements-bench.in -c requirements.txt
	@touch $@

lock:  ## renew both locks from requirements*.in and requirements.txt
	@PYTHON=$(PYTHON) .ci/lock

run: env  ## the whole line for a shop, ending in a summary; SOURCE=… LANDING=… ENGINE=sail|spark
	@$(jobs) run_shop --source "$(SOURCE)" --engine "$(ENGINE)" $(if $(LANDING),--landing "$(LANDING)")

up: env  ## Airflow and the MLflow UI over the home of the same SOURCE=… ENGINE=…
	@$(jobs) up

down:  ## stop what `make up` with the same SOURCE=… ENGINE=… started
	@$(jobs) down

test: env .venv/.test .venv-airflow/.test  ## fast tests of both environments
	@.venv/bin/python -m pytest -m "not slow" tests/expectations tests/ml tests/jobs
	@.venv-airflow/bin/python -m pytest -m "not slow" tests/dags

test-faults: env .venv/.test  ## kills, scheduler-driven runs, engine parity
	@.venv/bin/python -m pytest -m slow tests/expectations tests/ml tests/jobs tests/faults

bench: env .venv/.bench  ## measure the sample shop on ENGINE=…; ONLY=name,… for some; writes bench.json in the home
	@.venv/bin/python -m tests.benchmarks $(if $(ONLY),--only "$(ONLY)")

lint: .venv/.test  ## ruff: rules and format
	@.venv/bin/ruff check .
	@.venv/bin/ruff format --check .

docs: .venv/.current  ## renew expectations/DICTIONARY.md
	@.venv/bin/python -m expectations

wheel: .venv/.current  ## the jobs' code for executors without a checkout, into dist/; docs/engines.md
	@rm -rf dist build
	@SOURCE_DATE_EPOCH=315532800 .venv/bin/python -m pip wheel -qq --disable-pip-version-check --no-index \
	  --no-build-isolation --no-deps -w dist .
	@rm -rf build *.egg-info
	@ln dist/*.whl dist/lifestage.zip  # the same file under a name that Spark unpacks
	@ls dist

secrets:  ## what docker-compose.yaml needs to know, into .env; keeps what is there
	@.ci/secrets
