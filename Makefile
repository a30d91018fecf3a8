# make demo   run the main job for real: simulator, a real Airflow, one reset of eight documents (KEEP=1 leaves Airflow up)
# make test   set up the same way and run every test
# make browser  test the page GST in a real browser (Debian: apt-get install chromium)
# make lint   ruff and mypy --strict
# make docs   build the guides and the reference as a site in build/docs, warnings are errors
# make matrix ONLY=3.1-py311  every Airflow, Python and set of dependencies, or those that begin so; E2E=1 adds a real Airflow's tests, QUICK=1 leaves the long ones out
# make locks  write requirements/ again, after a change of constraints.txt or of the dependencies in pyproject.toml
# make wheel  build sdist and wheel, install the wheel into an empty environment and ask Airflow for the provider
# make days   live N simulated days (10,000) on all cores; make days-mutants sees whether they notice a broken package
# make mutants MODULE=models/result.py   break that module (or all) in one small place at a time: does a test notice?
# make cluster  an object store that goes away (make object-store), and the bulk example on a cluster of Airflow whose hosts die (make hosts): GSTINS=40 KILLS=5 (needs redis-server)
# make bench  measure plan, reconciliation, downloads, polls, waits and worker slots; prints a table and writes bench/results.json (about 10 minutes)

PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	command -v $$p >/dev/null && $$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# With Celery and an object store's provider, which the other tests do not have.
CLUSTER := .venv-cluster

.PHONY: demo test browser lint docs matrix wheel locks cluster cluster-setup object-store hosts bench days days-mutants mutants setup clean

setup: $(READY)

# $(call set-up,FOLDER,GROUP OF DEPENDENCIES,HOW LONG)
define set-up
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is needed; none was found on the PATH."; exit 1; }
	@echo "Setting up $(1) with $$($(PYTHON) --version) ($(3), once)"
	@test -x $(1)/bin/python || $(PYTHON) -m venv $(1)
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes --requirement requirements/$(2).txt
	@$(1)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $(1)/.ready
endef

$(READY): pyproject.toml requirements/dev.txt
	$(call set-up,$(VENV),dev,about a minute)

demo: $(READY)
	@$(BIN)/python -m demo $(if $(KEEP),--keep)

# First what needs the cores, twice as many at a time as there are, since each waits for disk and loopback a third of its
# time; then what waits for an Airflow of its own: beside others it misses its deadlines.
# Without compiled files each process would rewrite the tests' assertions anew.
test: $(READY)
	@result=0; \
	PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest --ignore tests/browser --ignore tests/e2e \
		--numprocesses $$((2 * $$(getconf _NPROCESSORS_ONLN))) --dist loadfile || result=$$?; \
	$(BIN)/python -m pytest tests/e2e || result=$$?; \
	exit $$result

browser: $(READY)
	$(BIN)/python -m pytest tests/browser

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

N ?= 10000
days: $(READY)
	@$(BIN)/python -m tests.days 0-$(N)

days-mutants: $(READY)
	@$(BIN)/python -m tests.days.mutants

mutants: $(READY)
	@$(BIN)/python -m tests.mutants $(MODULE) $(if $(SAMPLE),--sample $(SAMPLE)) $(if $(SEED),--seed $(SEED))

GSTINS ?= 40
KILLS ?= 5
cluster: object-store hosts

object-store: $(CLUSTER)/.ready
	@.ci/check-constraints $(CLUSTER)/bin/python
	@$(CLUSTER)/bin/python -m pytest -q tests/object_store

hosts: $(CLUSTER)/.ready
	@$(CLUSTER)/bin/python -m local_airflow.cluster_run --gstins $(GSTINS) --kills $(KILLS)

cluster-setup: $(CLUSTER)/.ready

$(CLUSTER)/.ready: pyproject.toml requirements/cluster.txt
	$(call set-up,$(CLUSTER),cluster,some minutes)

bench: $(READY)
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --group bench
	@$(BIN)/python -m bench

docs: $(READY)
	$(BIN)/python -m sphinx --fail-on-warning --keep-going --quiet -c docs . build/docs
	@echo "The site begins at build/docs/index.html"

matrix: $(READY)
	@$(BIN)/python -m uv pip install --quiet --python $(BIN)/python --constraint constraints.txt --group matrix
	@PATH="$(abspath $(BIN)):$$PATH" $(BIN)/python -m nox $(if $(E2E)$(QUICK),-- $(if $(E2E),e2e) $(if $(QUICK),without-tests))

# What constraints.txt says of all that a group needs, with the digest of each file, for every Python and system.
locks: $(READY)
	@for group in dev cluster; do \
	$(BIN)/python -m uv pip compile --quiet --universal --python-version 3.11 --no-header --no-annotate --generate-hashes \
		--constraint constraints.txt --group $$group pyproject.toml --output-file requirements/$$group.txt || exit 1; done

wheel: $(READY)
	.ci/check-wheel $(BIN)/python

clean:
	rm -rf $(VENV) $(CLUSTER) .cluster .demo dist build .nox docs/reference
