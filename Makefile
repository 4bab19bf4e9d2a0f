# The front door: `make help`. Everything is installed into .venv (or .venv-openmpi, .venv-impi); no root, no system MPI.

MPI    ?= mpich
PYTHON ?= python3
NP     ?= 2
STEPS  ?= 1e9
TESTS  ?= tests
# Which tests: test (minutes), ci (what .ci/run does), rest (ci without test), each_mpi (what another MPI may change)
RING   ?= test
# How many lines make mutation changes.
SAMPLE ?= 200
# Tests at a time: one more than cores, as many tests wait.
JOBS   ?= $(shell cores=$$(nproc); echo $$((cores < 8 ? cores + 1 : 8)))

MPIS := mpich openmpi impi
ifeq ($(filter $(MPI),$(MPIS)),)
$(error MPI=$(MPI): expected one of $(MPIS))
endif

VENV := $(if $(filter mpich,$(MPI)),.venv,.venv-$(MPI))
BENCH_VENV := .venv-bench$(if $(filter mpich,$(MPI)),,-$(MPI))
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
unexport PYTHONPATH MPI4PY_LIBMPI

# Open MPI refuses more ranks than cores, and root, unless told otherwise; a container's only user is root.
export PRTE_MCA_rmaps_default_mapping_policy ?= :oversubscribe
ifeq ($(shell id -u),0)
export OMPI_ALLOW_RUN_AS_ROOT ?= 1
export OMPI_ALLOW_RUN_AS_ROOT_CONFIRM ?= 1
endif

# compat: a plain path entry, which costs nothing at the start of Python, as setuptools' import hook would
INSTALL = $(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat

.PHONY: help run test account coverage campaigns slurm-test test-all-modes test-parallel-hdf5 same-bits faults old-bugs mutation bench docs lint test-lowest wheel clean
.DEFAULT_GOAL := help

help:
	@echo "make run          π on $(NP) ranks (NP=4 STEPS=1e10 for more)"
	@echo "make test         the tests to run before each commit, some minutes, with MPICH (TESTS=tests/unit for some)"
	@echo "make test RING=ci all that a change must pass, with one MPI; .ci/run does it with all three, as they differ"
	@echo "make campaigns    what runs before a release: the rest of the tests, and all that follow here but bench (hours)"
	@echo "make account      which tests take how long, and what they start"
	@echo "make coverage     which lines the tests run, in all processes: a figure, and htmlcov/index.html"
	@echo "make test-4       the tests that run over ranks, on 4 ranks (or any other number)"
	@echo "make test-lowest  the tests of units with the lowest versions of all that setup.cfg names"
	@echo "make slurm-test   the tests on a Slurm of four nodes, which they start themselves (needs slurm-wlm, munge, libpmix-dev,"
	@echo "                  iproute2, slurmdbd and mariadb-server, Debian's names); make test does the quick ones where"
	@echo "                  Slurm is installed, without the last two"
	@echo "make test-all-modes   the scripts with pools in all modes, where make test takes two of five for each"
	@echo "make test-parallel-hdf5   the tests of datasets, with an h5py that is built with MPI (see Makefile for what that needs)"
	@echo "make same-bits    the result of every mode, compared to the last bit (some minutes)"
	@echo "make faults       hundreds of kills, signals, full disks, damaged files, ten dead nodes (half an hour)"
	@echo "make old-bugs     mended bugs, put back one at a time: which ring of the tests sees each (an hour)"
	@echo "make mutation     a change of one operator or constant at a time, in core and store: which no test sees (SAMPLE=100)"
	@echo "make bench        benchmarks against C + MPI and the pools of eight other libraries; writes docs/benchmarks.md"
	@echo "                  (a quarter of an hour; needs a C compiler, and primesieve for its part; separate are"
	@echo "                  benchmarks/model.py and benchmarks/gpu/compare.py)"
	@echo "make docs         the documentation as a site, in site/ (python -m http.server -d site, for its search)"
	@echo "make lint         ruff, mypy, and how dense the code is"
	@echo "make wheel        build a wheel, install it alone, and run it"
	@echo "make clean        remove the environments and all that was made"
	@echo
	@echo "MPI=openmpi or MPI=impi does the same with Open MPI or Intel MPI, each in an environment of its own."

run: $(VENV)/.run-installed
	mpirun -np $(NP) python -m mpipar.pi --steps $(STEPS)

XDIST = -n $(JOBS) --dist loadgroup
PYTEST = python -m pytest $(XDIST)

test: $(VENV)/.test-installed
	$(PYTEST) --ring $(RING) $(TESTS)

account: $(VENV)/.test-installed
	rm -f build/account.jsonl
	mkdir -p build
	$(PYTEST) --ring $(RING) --account build/account.jsonl $(TESTS)
	cd tests && python -m suite.account ../build/account.jsonl

# In all processes: ranks, workers, fork servers.
coverage: $(VENV)/.test-installed
	mkdir -p build
	python -m coverage erase
	python -m coverage run -m pytest $(XDIST) --ring $(RING) $(TESTS)
	python -m coverage combine --quiet
	python -m coverage html --quiet
	python -m coverage json --quiet -o build/coverage.json
	python -m coverage report --skip-covered --sort=cover --fail-under=0
	cd tests && python -m suite.covered ../build/coverage.json
	python -m coverage report --format=total  # fails below the floor of setup.cfg

campaigns: same-bits faults
	$(PYTEST) --ring campaigns -m campaign tests
	$(MAKE) test-all-modes

# Needs libhdf5-openmpi-dev and openmpi-bin (Debian's names). Such an h5py imports MPI by itself, in workers too,
# so that no rank may be a fork of a process that has it: COLD.
test-parallel-hdf5: .venv-parallel-hdf5/.installed
	OMPI_MCA_rmaps_base_oversubscribe=1 MPIPAR_TEST_COLD=1 MPIPAR_TEST_MPIRUN=mpirun.openmpi .venv-parallel-hdf5/bin/python -m pytest $(XDIST) --ring ci tests/mpi/test_datasets.py tests/mpi/test_roots.py

# All of them as root, whose nodes have names, networks and processes of their own; fails rather than skip any.
slurm-test: $(VENV)/.test-installed
	MPIPAR_TEST_SLURM=1 python -m pytest --ring ci tests/slurm

# Python 3.11, as the oldest versions know no newer one.
test-lowest: .venv-lowest/.installed
	.venv-lowest/bin/python -m pytest -n $(JOBS) --dist loadgroup --ring $(RING) tests/unit

test-%: $(VENV)/.test-installed
	MPIPAR_TEST_RANKS=$* $(PYTEST) --ring $(RING) tests/mpi

test-all-modes: $(VENV)/.test-installed
	MPIPAR_TEST_ALL_MODES=1 $(PYTEST) --ring campaigns tests/pool/test_scripts.py

same-bits: $(VENV)/.test-installed
	python tests/same_bits.py $(SAME_BITS)

faults: $(VENV)/.test-installed
	python tests/faults/campaign.py
	MPIPAR_TEST_NODES_KILLED=5 python -m pytest --ring campaigns tests/slurm/test_restarts.py -k killed_node

old-bugs: $(VENV)/.test-installed
	python tests/old_bugs.py

# Goes on where it was interrupted; make clean begins anew.
mutation: $(VENV)/.test-installed .venv-mutation/.installed
	.venv-mutation/bin/python tests/mutation.py --python $(CURDIR)/$(VENV)/bin/python --sample $(SAMPLE)

bench: $(BENCH_VENV)/.installed
	$(BENCH_VENV)/bin/python benchmarks

# What is compared with stays out of .venv; what of it can't be installed is named in the tables.
$(BENCH_VENV)/.installed: setup.cfg pyproject.toml benchmarks/install.py
	$(PYTHON) -m venv $(BENCH_VENV)
	$(BENCH_VENV)/bin/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[$(MPI)]'
	@$(BENCH_VENV)/bin/python -m compileall -q mpipar
	$(BENCH_VENV)/bin/python benchmarks/install.py
	@touch $@

docs: $(VENV)/.docs-installed
	NO_MKDOCS_2_WARNING=1 mkdocs build --strict

lint: $(VENV)/.test-installed
	ruff check .
	ruff format --check .
	mypy
	python tests/density.py --hold

# The wheel installs and runs alone, by the README's first three commands: from the root folder, where no source is.
wheel:
	rm -rf build/wheel .venv-wheel
	$(PYTHON) -m venv .venv-wheel
	.venv-wheel/bin/python -m pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir build/wheel .
	.venv-wheel/bin/python -m pip install --quiet --disable-pip-version-check "$$(echo build/wheel/*.whl)[mpich]"
	grep -E -m 3 '^(python|mpirun) ' README.md > build/wheel/first.sh
	cd / && PATH="$(CURDIR)/.venv-wheel/bin:$$PATH" sh -ex "$(CURDIR)/build/wheel/first.sh"

clean:
	rm -rf .venv .venv-openmpi .venv-impi .venv-newest .venv-lowest .venv-mutation .venv-wheel .venv-parallel-hdf5 .venv-bench* build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage* htmlcov benchmarks/build site
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "mpipar needs Python 3.11 or newer; PYTHON=... names another")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run-installed: $(VENV)/bin/python setup.cfg pyproject.toml
	$(INSTALL) --editable '.[$(MPI)]'
	@python -m compileall -q mpipar  # an editable install doesn't, nor does Python under PYTHONDONTWRITEBYTECODE
	@touch $@

$(VENV)/.test-installed: $(VENV)/.run-installed
	$(INSTALL) --editable '.[$(MPI),test,docs]'
	@touch $@

$(VENV)/.docs-installed: $(VENV)/.run-installed
	$(INSTALL) --editable '.[$(MPI),docs]'
	@touch $@

# What makes the changes stays out of .venv, with all that it needs itself.
.venv-mutation/.installed:
	$(PYTHON) -m venv .venv-mutation
	.venv-mutation/bin/python -m pip install --quiet --disable-pip-version-check 'cosmic-ray >= 8.7'
	@touch $@

.venv-lowest/.installed: setup.cfg pyproject.toml tests/lowest.py
	$(PYTHON) -m venv .venv-lowest
	mkdir -p build
	.venv-lowest/bin/python tests/lowest.py > build/lowest.txt
	.venv-lowest/bin/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat \
	    --constraint build/lowest.txt --editable '.[mpich,test]'
	@touch $@

.venv-parallel-hdf5/.installed: setup.cfg pyproject.toml
	$(PYTHON) -m venv .venv-parallel-hdf5
	.venv-parallel-hdf5/bin/python -m pip install --quiet --disable-pip-version-check numpy cython pkgconfig 'setuptools>=80' wheel mpi4py
	CC=mpicc.openmpi HDF5_MPI=ON HDF5_DIR=/usr/lib/x86_64-linux-gnu/hdf5/openmpi CFLAGS=-O1 .venv-parallel-hdf5/bin/python -m pip \
	    install --quiet --disable-pip-version-check --no-cache-dir --no-build-isolation --no-binary=h5py h5py
	.venv-parallel-hdf5/bin/python -m pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[test]'
	.venv-parallel-hdf5/bin/python -c 'import h5py; assert h5py.get_config().mpi'
	@touch $@
