PYTHON ?= python3
VENV := .venv
OLDEST := .venv-oldest
# Each worker has a private server of its own; while the one computes, the other waits. On two cores
# three workers keep both busy.
WORKERS := --numprocesses 3 --dist worksteal

# TensorFlow's notes about this machine's processor would drown the rest.
export TF_CPP_MIN_LOG_LEVEL ?= 3
export PIP_DISABLE_PIP_VERSION_CHECK := 1

# Where an environment keeps Python from writing bytecode, each process of the tests would compile TensorFlow
# anew, which takes twice as long as all else in its start.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: demo test test-unit test-long test-oldest test-random soak lint proto bench clean

demo: $(VENV)/.installed
	$(VENV)/bin/keras-split demo

# In one session, since each worker's start takes as long as some tests.
test: lint
	$(VENV)/bin/python -m pytest $(WORKERS) tests

test-unit: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest $(WORKERS) tests/unit

# Examples, demonstrations and searches train dozens of models.
test-long: $(VENV)/.installed-test
	$(VENV)/bin/python -m pytest $(WORKERS) tests/long

test-oldest: $(OLDEST)/.installed-test
	$(OLDEST)/bin/python -m pytest $(WORKERS) tests

# Server, store and clients killed at random instants on bad lines, until so many were; KILLS=1000 takes hours.
# Then the same in the simulation, with many more schedules than the unit tests take.
KILLS := 200
SCHEDULES := 100000
soak: $(VENV)/.installed-test
	TF_NUM_INTRAOP_THREADS=1 PYTHONPATH=tests $(VENV)/bin/python -m soak --kills $(KILLS) $(SOAK)
	KERAS_SPLIT_SCHEDULES=$(SCHEDULES) $(VENV)/bin/python -m pytest --timeout 3600 tests/unit/test_run_simulated.py

# So many random models, cut at random places, trained whole and split: N=500 takes half an hour. With SHRINK=--shrink
# those that differ are made small.
N := 60
REWRITING := on
test-random: $(VENV)/.installed-test
	PYTHONPATH=tests $(VENV)/bin/python -m graphs --cases $(N) --rewriting $(REWRITING) $(SHRINK)

lint: $(VENV)/.installed-test
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy keras_split

proto: $(VENV)/.installed-test
	$(VENV)/bin/python scripts/generate_protos.py

bench: $(VENV)/.installed
	$(VENV)/bin/python -m benchmarks.step

clean:
	rm -rf $(VENV) $(OLDEST) build dist demo-output *.egg-info
	rm -rf .pytest_cache .mypy_cache .ruff_cache .hypothesis

# A stamp is younger than what it was installed from, so that the next run starts at once. uv takes seconds
# for what pip takes minutes for.
define make_environment
	$(PYTHON) -m venv $(1)
	$(1)/bin/pip install --quiet uv
endef

$(VENV)/.installed: setup.cfg pyproject.toml
	$(call make_environment,$(VENV))
	$(VENV)/bin/uv pip install --quiet --python $(VENV) --editable .
	touch $@

$(VENV)/.installed-test: $(VENV)/.installed requirements-proto.txt
	$(VENV)/bin/uv pip install --quiet --python $(VENV) --editable '.[test]'
	$(VENV)/bin/uv pip install --quiet --python $(VENV) --no-deps --requirement requirements-proto.txt
	touch $@

$(OLDEST)/.installed-test: setup.cfg pyproject.toml constraints-oldest.txt requirements-proto.txt
	$(call make_environment,$(OLDEST))
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST) --constraint constraints-oldest.txt --editable '.[test]'
	$(OLDEST)/bin/uv pip install --quiet --python $(OLDEST) --no-deps --requirement requirements-proto.txt
	touch $@
