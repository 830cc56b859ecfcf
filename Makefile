# make           a virtual environment in .venv, with this package in it and its extensions
# make demo      the main job, without a VM: 15 s to 2 minutes on a fresh machine
# make test      unit tests under trial and pytest, integration tests under trial: 12 to 21 minutes
# make lint      formatting, lint and types
# make coverage  branch coverage of what `make test` has measured
# make machines  what boots machines, and Twisted's own suites on our reactor (.ci/install-vm-tools)
# make mutation  how many small changes of wire, core and the HTTP gate the unit tests notice:
#                a sample of each, SAMPLE=0 for all
# make bench     CPU a request beside nginx, HAProxy and uWSGI (root: installs them)
# make dist      sdist and wheels in dist/, each installed and tried: 5 minutes a Python
# make nightly   all of it, and clean Debian systems with and without a compiler (root)

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
SOURCES := pyproject.toml setup.py $(sort $(shell find subproxy -name '*.pyx' -o -name '*.pxd' -o -name '*.h'))
# What is installed is made of these very sources, whatever their dates say.
HASH := $(shell cat $(SOURCES) | sha256sum | cut -c 1-16)

# Compiled once for the same sources and compiler.
export SUBPROXY_BUILD_CACHE ?= $(CURDIR)/.cache/build

# Hundreds of processes are started: what they import is compiled once, not each time.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: venv demo test unit integration machines lint coverage mutation bench bench-bodies dist nightly clean

venv: $(VENV)/.base-$(HASH)
	@echo 'Ready: . $(VENV)/bin/activate puts twistd and subproxy into the path. Or make demo, make test.'

$(VENV)/.base-$(HASH):
	@tools/install $(PYTHON) $(VENV)
	@rm -f $(VENV)/.base* $(VENV)/.test*
	@touch $@

# Holds all that .base has: whoever makes it first builds the extensions once, not twice.
$(VENV)/.test-$(HASH):
	@tools/install $(PYTHON) $(VENV) test,go,node,lint,tls,image
	@rm -f $(VENV)/.base* $(VENV)/.test*
	@touch $@ $(VENV)/.base-$(HASH)

demo: $(VENV)/.base-$(HASH)
	@$(BIN)/python examples/demo.py

RUN := $(BIN)/python -m tools.testing.run

test: $(VENV)/.test-$(HASH)
	@echo '12 to 21 minutes on two cores. Not in it: machines, and suites of Twisted (make machines).'
	@rm -f .coverage .coverage.*
	@$(RUN) unit integration
	@$(MAKE) -s coverage

unit integration machines: $(VENV)/.test-$(HASH)
	@$(RUN) $@

# What `make test` has measured: the unit tests, and those integration tests without which whole
# modules would not have run (MEASURED in tools/testing/groups.py).
coverage: $(VENV)/.test-$(HASH)
	@$(BIN)/coverage combine -q
	@$(BIN)/coverage report

# How many of the small changes that could be made to a module some test notices: so many of each,
# chosen at random, or all of them with SAMPLE=0.
SAMPLE ?= 300
mutation: $(VENV)/.test-$(HASH)
	$(BIN)/python -m tools.mutation subproxy/wire subproxy/core $(GATE) --sample $(SAMPLE)
HTTP1 := subproxy/frontend/http1
GATE := subproxy/frontend/limits.py,$(HTTP1)/head_parser.py,$(HTTP1)/framing.py,$(HTTP1)/body_framing.py

lint: $(VENV)/.test-$(HASH)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

bench: $(VENV)/.test-$(HASH)
	$(BIN)/python -m benchmarks.bench $(ARGS)

bench-bodies: $(VENV)/.test-$(HASH)
	$(BIN)/python -m benchmarks.bodies $(ARGS)

dist: $(VENV)/.test-$(HASH)
	@tools/dist $(BIN)/python

nightly:
	@.ci/nightly

clean:
	rm -rf $(VENV) .cache build dist *.egg-info _trial_temp* .coverage* .hypothesis .mypy_cache .ruff_cache .pytest_cache
	rm -f twisted/plugins/dropin.cache $(patsubst %.pyx,%.c,$(filter %.pyx,$(SOURCES)))
	find subproxy -name '*.so' -delete
