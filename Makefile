# Every target does its own set-up. A machine with Python 3.11+ and make is enough.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
# Whole systems are tested in one process, everything else in the others.
PROCESSES ?= 2
STAMP := $(VENV)/.ready
# Where it is forbidden to keep what was compiled, each of the many processes here would compile everything again.
unexport PYTHONDONTWRITEBYTECODE

help: ## What there is to do
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# The stamp is written last: a .venv that was interrupted half way has none and is made anew.
$(STAMP): requirements.txt requirements-observability.txt requirements-dev.txt constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Coursewright needs Python 3.11 or newer; $$($(PYTHON) --version) is here. Set PYTHON=python3.11, say."; exit 2; }
	@echo "Making $(VENV) (once; a minute or two)"
	@rm -f $(STAMP); if [ ! -x $(VENV)/bin/pip ] || [ ! -e $(VENV)/.whole ]; then rm -rf $(VENV); \
	  $(PYTHON) -m venv $(VENV) || { echo "Python's venv module is missing. On Debian: apt-get install python3-venv"; exit 2; }; fi
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r requirements-dev.txt -c constraints.txt > $(VENV)/pip.log 2>&1 || \
	  { echo "The packages could not be installed: $$(grep -m 1 ERROR $(VENV)/pip.log || tail -n 1 $(VENV)/pip.log)"; \
	    echo "Is the network there, and room on the disk? The whole log is in $(VENV)/pip.log"; exit 2; }
	@touch $(VENV)/.whole
	@printf '#!/bin/sh\n# Made by make setup.\nexec "%s/$(VENV)/bin/python" -c "import sys; sys.path.insert(0, \\"%s\\"); sys.argv[0] = \\"coursewright\\"; from web.cli import main; main()" "$$@"\n' "$(CURDIR)" "$(CURDIR)" > $(VENV)/bin/coursewright
	@chmod +x $(VENV)/bin/coursewright
	@touch $(STAMP)

setup: $(STAMP) ## Make .venv with everything pinned

demo: setup ## Start everything, have courses made over HTTP, check them, stop everything; ORGS=2: for two schools
	@$(VENV)/bin/coursewright demo $(if $(ORGS),--schools $(ORGS))

up: setup ## Run everything on this machine until Ctrl-C
	@exec $(VENV)/bin/coursewright up

style: setup
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .

lint: style ## ruff, mypy, import-linter
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache

# mypy and import-linter are among the guards: in a fresh clone mypy takes half a minute, and only one core.
test: style ## Lint, and every tier of tests; starts whatever it needs
	@command -v chromium chromium-browser google-chrome > /dev/null || \
	  echo "Chromium not found, so the pages are not tried in a browser. On Debian: apt-get install chromium"
	@$(VENV)/bin/python -m pytest -n $(PROCESSES) --dist loadscope

browser: setup ## Only the pages, in a real Chromium; SCREENSHOTS=folder keeps what they look like
	@COURSEWRIGHT_REQUIRE_BROWSER=1 COURSEWRIGHT_SCREENSHOTS=$(SCREENSHOTS) $(VENV)/bin/python -m pytest tests/browser

chaos: setup ## Break everything for ten minutes under load, then check every promise; SEED= repeats a run
	@$(VENV)/bin/python -m tests.chaos $(if $(SEED),--seed $(SEED))

audit: setup ## Ask PyPI what is known of the pinned versions (needs a network); the linter's own checks run in lint
	@$(PYTHON) -m venv $(VENV)/audit
	@$(VENV)/audit/bin/pip install --quiet --disable-pip-version-check pip-audit==2.10.1
	@$(VENV)/audit/bin/pip-audit --strict --requirement constraints.txt --no-deps --disable-pip

fuzz: setup ## Ask the API for what its description says, as everybody, for SECONDS=300; SEED= repeats a run
	@$(VENV)/bin/python -m tests.access --seconds $(or $(SECONDS),300) $(if $(SEED),--seed $(SEED))

bench: setup ## The engine beside a raw Celery chain and DBOS
	@$(VENV)/bin/pip install --quiet --disable-pip-version-check -r bench/requirements.txt
	@$(VENV)/bin/python -m bench.engine

clean: ## Remove .venv and everything that was run here
	@rm -rf $(VENV) .coursewright .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: help setup demo up style lint test browser chaos audit fuzz bench clean
