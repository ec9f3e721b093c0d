# Each target does the set-up it needs; `make` alone prints this help.
PYTHON ?= python3
SUITE ?= default
BIN := .venv/bin
.DEFAULT_GOAL := help
.PHONY: help setup lock fmt check test test-all test-faults run run-all report lab clean

help:  ## print this help
	@grep -hE '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/' | expand -t 12

setup:  ## create the environment in .venv
	@$(PYTHON) -m workbench.core.bootstrap

lock: setup  ## choose package versions anew: requirements.lock and environment.yml
	$(BIN)/python -m workbench.core.environment --lock

fmt: setup  ## format code and notebooks; write parameters cells from their classes
	@$(BIN)/ruff format --quiet
	@$(BIN)/ruff check --quiet --fix
	@$(BIN)/python -m workbench.notebooks
	@$(BIN)/python -m workbench.core.environment

check: setup  ## lint, types, notebooks: what must hold before a change lands
	@$(BIN)/ruff format --check
	@$(BIN)/ruff check
	@$(BIN)/python -m workbench.notebooks --check
	@$(BIN)/python -m workbench.core.environment --check
	@$(BIN)/mypy

test: setup  ## run all tests, every notebook among them
	@$(BIN)/workbench fetch
	@$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal

test-all: setup  ## run the long tests too, and write the table of docs/faults.md
	@$(BIN)/workbench fetch
	@$(BIN)/python -m pytest --numprocesses=2 --dist=worksteal -m "long or not long" --fault-table=docs/faults.md

test-faults: setup  ## inject every fault, the long ones too, and write the table of docs/faults.md
	@$(BIN)/workbench fetch
	@$(BIN)/python -m pytest -m "fault or long" --fault-table=docs/faults.md

run: setup  ## run one notebook: make run NB=ner SET="epochs=1 seed=2"
	@$(BIN)/workbench run $(NB) $(foreach pair,$(SET),--set $(pair))

run-all: setup  ## run a suite, only what is not done yet: make run-all SUITE=default JOBS=1; DRY=1 shows the plan
	@$(BIN)/workbench $(if $(DRY),plan,run-all) $(SUITE) $(if $(JOBS),--jobs $(JOBS))

report: setup  ## write all report pages and the index anew
	@$(BIN)/workbench report

lab: setup  ## open JupyterLab on copies of the notebooks, in work/; OPTIONS="--port 9000 --allow-root" go on to it
	@$(BIN)/workbench lab $(OPTIONS)

clean:  ## remove environment, caches and reports; data/raw stays
	@rm -rf .venv .venv.before .venv.lock .jupyter .mypy_cache .pytest_cache .ruff_cache *.egg-info build reports/runs reports/searches reports/index.html
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
