# make help lists the targets. Everything happens in .venv and in this folder.

PYTHON ?= python3
# uv sees the same local wheels as pip; bytecode is compiled once, at installation.
export UV_FIND_LINKS ?= $(PIP_FIND_LINKS)
export UV_COMPILE_BYTECODE = 1
export MLFLOW_DISABLE_TELEMETRY = true
export MLFLOW_SERVER_ENABLE_JOB_EXECUTION = false
IN_VENV = export PATH="$(CURDIR)/.venv/bin:$$PATH" &&
READY = .venv/.ready
PORT ?= 5000
TEAM ?= .team

.DEFAULT_GOAL := help
.PHONY: help setup scm repro quick studies test test-long benchmark gpu ui team lint format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "make %-9s %s\n", $$1, $$2}' Makefile

setup: $(READY) ## make .venv and install the pinned dependencies

$(READY): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check uv
	.venv/bin/python -m uv pip install --quiet --python .venv/bin/python -c constraints.txt -e '.[dev]'
	@touch $@

repro: scm ## run the root study: data, training, evaluation, report
	$(IN_VENV) dvc repro
	@echo
	@cat reports/comparison.md
	@echo "Results: reports/comparison.md, reports/comparison.csv, reports/curves/, reports/samples/"
	@echo "Runs:    make ui"

quick: scm ## run the same stages at toy size, in some minutes
	$(IN_VENV) dvc repro pipeline/quick/dvc.yaml
	@echo "Results: reports/quick/"
	@echo "Runs:    make ui"

studies: scm ## run every study of pipeline/, one after another: 2 minutes to 2 hours each
	$(IN_VENV) dvc repro $$(grep -l '^  - study:' pipeline/*/dvc.yaml)
	@echo "Results: reports/*/comparison.md, reports/*/report.html"
	@echo "Runs:    make ui"

# In a copy without .git DVC works when told so.
scm: $(READY)
	@if [ ! -e .git ]; then \
	  echo "No git here: dvc diff, dvc exp and the commit among MLflow's tags will be missing."; \
	  $(IN_VENV) dvc config --local core.no_scm true; fi

test: $(READY) ## check style and types, run the tests of every day: about ten minutes
	$(IN_VENV) ruff check . && ruff format --check . && mypy && pytest -m "not long"

test-long: $(READY) ## run the tests that take long: whole studies, killed, edited, on full disks
	$(IN_VENV) pytest -m long

# An entry that fails leaves the others; what there is then is written all the same.
benchmark: scm ## measure how fast all of it is, on an idle machine: 17 minutes
	$(IN_VENV) dvc repro --force --keep-going pipeline/benchmark/dvc.yaml || \
	  { python benchmarks/page.py; exit 1; }
	@echo "Results: docs/performance.md, reports/benchmark/"

# Whatever Python has a PyTorch for the card: nothing of .venv, nothing from the network.
gpu: ## tests and seconds an epoch on a GPU: make gpu PYTHON=python3
	PYTHONPATH=src $(PYTHON) benchmarks/gpu.py

ui: $(READY) ## serve the MLflow UI on 127.0.0.1, port 5000 (another: PORT=5001)
	@echo "http://127.0.0.1:$(PORT)/#/experiments"
	$(IN_VENV) mlflow server --workers 1 --host 127.0.0.1 --port $(PORT) \
	  --backend-store-uri "$${MLFLOW_TRACKING_URI:-sqlite:///mlflow.db}"

team: $(READY) ## serve MLflow to a team: PostgreSQL, logins (docs/team/; PORT=5001 TEAM=/srv/unroll)
	$(IN_VENV) PORT=$(PORT) TEAM="$(TEAM)" docs/team/serve.sh

lint: $(READY) ## check style and types only
	$(IN_VENV) ruff check . && ruff format --check . && mypy

format: $(READY) ## format the code
	$(IN_VENV) ruff check --fix . && ruff format .

clean: ## remove .venv (data, reports and runs stay)
	rm -rf .venv
