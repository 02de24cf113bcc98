# Everything runs in .venv, which the first target that needs it sets up.
# PYTHON=/path/to/python chooses the interpreter (CPython >= 3.11 with venv).

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
FOLDERS := model calibration planner
CANDIDATES := $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.NOTPARALLEL:
.PHONY: help plan setup test lint types layers wheel notebooks check clean FORCE

help:
	@echo "make plan     calibrate this machine quickly and rank layouts for the example workload"
	@echo "make test     run the test suite"
	@echo "make check    test, lint, types, layers, wheel, notebooks: what CI runs"
	@echo "make notebooks  calibrate quickly and execute the notebooks"
	@echo "make setup    set up .venv with everything a developer needs"
	@echo "make clean    remove .venv and everything built"

plan: $(VENV)/.installed-runtime
	@$(BIN)/gilplan demo

setup: $(VENV)/.installed-dev

# What runs no real interpreter runs on all cores; the rest, which measures, has them for itself.
test: $(VENV)/.installed-test
	$(BIN)/pytest --numprocesses=logical --dist=loadfile -m "not interpreters and not measurement"
	$(BIN)/pytest -m "interpreters and not measurement"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/.installed-dev
	$(BIN)/mypy

layers: $(VENV)/.installed-dev
	$(BIN)/lint-imports --no-logo

wheel: $(VENV)/.installed-dev
	.ci/wheel $(BIN)/python

# With a quick profile of their own: what the user has measured is left alone. Nothing is written
# back: the notebooks are kept without outputs.
notebooks: export XDG_DATA_HOME := $(CURDIR)/build/notebooks
notebooks: $(VENV)/.installed-notebooks
	$(BIN)/gilplan calibrate --quick
	cd notebooks && for each in *.ipynb; do \
		echo "$$each"; ../$(BIN)/jupyter-execute --timeout=1800 "$$each" || exit 1; \
	done

check: test lint types layers wheel notebooks

clean:
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache
	find $(FOLDERS) tests -name __pycache__ -prune -exec rm -rf {} +

$(VENV)/.created:
	@set -e; \
	suits='import sys, venv, ensurepip; \
	sys.exit(sys.version_info < (3, 11) or sys.implementation.name != "cpython")'; \
	found=; \
	for python in $(CANDIDATES); do \
		if "$$python" -c "$$suits" 2>/dev/null; then found=$$python; break; fi; \
	done; \
	if [ -z "$$found" ]; then \
		echo "gilplan needs CPython >= 3.11 with venv and ensurepip; tried $(CANDIDATES)" \
			"($(firstword $(CANDIDATES)) is" \
			"$$("$(firstword $(CANDIDATES))" -V 2>/dev/null || echo 'not there'));" \
			"try: make PYTHON=/path/to/python3.11" >&2; \
		exit 1; \
	fi; \
	echo "setting up $(VENV) with $$("$$found" -V)"; \
	"$$found" -m venv --clear $(VENV); \
	touch $@

# The strict editable install links module files one by one: install again when the list of
# files changes. An edit inside a file leaves this list, and so the install, alone.
$(VENV)/.modules: FORCE | $(VENV)/.created
	@find $(FOLDERS) \( -name '*.py' -o -name '*.toml' -o -name 'page.*' -o -name py.typed \) | LC_ALL=C sort > $@.new; \
	if cmp -s $@.new $@; then rm $@.new; else mv $@.new $@; fi

$(VENV)/.installed-runtime: pyproject.toml $(VENV)/.modules
	@echo "installing gilplan"
	@$(PIP) install --editable .
	@touch $@

$(VENV)/.installed-test: pyproject.toml $(VENV)/.modules
	@echo "installing gilplan[test]"
	@$(PIP) install --editable '.[test]'
	@touch $(VENV)/.installed-runtime $@

$(VENV)/.installed-notebooks: pyproject.toml $(VENV)/.modules
	@echo "installing gilplan[notebooks]"
	@$(PIP) install --editable '.[notebooks]'
	@touch $(VENV)/.installed-runtime $@

$(VENV)/.installed-dev: pyproject.toml $(VENV)/.modules
	@echo "installing gilplan[dev]"
	@$(PIP) install --editable '.[dev]'
	@touch $(VENV)/.installed-runtime $(VENV)/.installed-test $@
