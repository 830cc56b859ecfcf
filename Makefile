# make demo   the main job on a fresh machine, without a VM
# make test   all tests, under trial and under pytest
# make coverage  branch coverage of the unit tests and most integration tests
# make mutation  how many small changes of wire, core and the HTTP gate the unit tests notice
# make lint   formatting, lint and types
# make bench  CPU a request beside nginx, HAProxy and uWSGI (root: installs them)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(shell find subproxy -name '*.pyx' -o -name '*.pxd' -o -name '*.h')

.PHONY: demo test trial pytest rest lint types coverage mutation bench bench-bodies docs clean

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

# Whoever hangs says where, and ends: nothing here takes half an hour, even where a machine has a slow day.
GUARD := PYTHONFAULTHANDLER=1 timeout -s ABRT -k 10 1800

trial: $(VENV)/.test
	$(GUARD) $(BIN)/python -m twisted.trial --random=0 tests

# What boots machines or runs Twisted's own suites for minutes has run under trial.
SLOW := $(wildcard tests/integration/test_vm_*.py) $(patsubst %,tests/integration/test_%.py, \
	guest_init reactor_conformance reactor_oldest)

# Those that are measured for branch coverage first, then the others.
pytest: coverage rest

# The unit tests, and those integration tests without which whole modules would not have run:
# what twistd, guests and init do as processes, and what needs real sockets.
MEASURED := $(wildcard tests/test_*.py) $(patsubst %,tests/integration/test_%.py,admin bodies \
	endpoints_folder endpoints_hybrid fastpath guest_process handover init_namespace main_job \
	reactor_generic reactor_processes reactor_relay reactor_rules reactor_transports vm_image)
UNMEASURED := $(filter-out $(MEASURED),$(wildcard tests/integration/test_*.py))

coverage: $(VENV)/.test
	$(BIN)/coverage erase
	PYTHONPATH=$(CURDIR) $(GUARD) $(BIN)/coverage run -m pytest -q $(MEASURED)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

# What `make coverage` leaves; a million connections once, under trial, are enough.
rest: $(VENV)/.test
	SUBPROXY_LEAK_CONNECTIONS=20000 $(GUARD) $(BIN)/python -m pytest -q $(filter-out $(SLOW),$(UNMEASURED))

# How many of the small changes that could be made to a module some test notices.
mutation: $(VENV)/.test
	$(BIN)/python tools/mutation.py subproxy/wire subproxy/core
	$(BIN)/python tools/mutation.py $(GATE) --tests tests.test_frontend_http_table tests.test_corpus_http
GATE := $(patsubst %,subproxy/frontend/%.py,gate head_parser limits request_body request_id)

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
