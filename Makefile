# make demo   the main job on a fresh machine, without a VM
# make test   all tests, under trial and under pytest
# make lint   formatting, lint and types
# make bench  CPU a request beside nginx, HAProxy and uWSGI (root: installs them)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(shell find subproxy -name '*.pyx' -o -name '*.pxd' -o -name '*.h')

.PHONY: demo test trial pytest lint types coverage bench bench-bodies docs clean

$(VENV)/.base: $(SOURCES)
	@tools/make-venv $(PYTHON) $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --config-settings editable_mode=compat -e .
	@touch $@

# Holds all that .base has: whoever makes it first builds the extensions once, not twice.
$(VENV)/.test: $(SOURCES)
	@tools/make-venv $(PYTHON) $(VENV)
	$(BIN)/pip install -q --disable-pip-version-check --config-settings editable_mode=compat -e '.[test,lint,tls]'
	@touch $(VENV)/.base $@

demo: $(VENV)/.base
	@$(BIN)/python examples/demo.py

test: trial pytest

trial: $(VENV)/.test
	$(BIN)/python -m twisted.trial --random=0 tests

# What boots machines or runs Twisted's own suites for minutes has run under trial.
pytest: $(VENV)/.test
	$(BIN)/python -m pytest -q --ignore-glob='tests/integration/test_vm_*.py' \
		--ignore=tests/integration/test_reactor_oldest.py \
		--ignore=tests/integration/test_reactor_conformance.py \
		--ignore=tests/integration/test_guest_init.py

coverage: $(VENV)/.test
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest -q --ignore=tests/integration
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

lint: $(VENV)/.test
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.test
	$(BIN)/python -m benchmarks.bench $(ARGS)

bench-bodies: $(VENV)/.test
	$(BIN)/python -m benchmarks.bodies $(ARGS)

clean:
	rm -rf $(VENV) build dist *.egg-info _trial_temp* .coverage* .hypothesis .mypy_cache .ruff_cache .pytest_cache
