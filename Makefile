# `make demo` and `make test` set up what they need in .venv on a fresh clone; `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
RUN := OMP_NUM_THREADS=$${OMP_NUM_THREADS:-$$(nproc)} $(BIN)/python

.PHONY: help setup demo test lint figures clean

help: ## list the targets
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

$(VENV)/ready: requirements.txt requirements-dev.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	@# torch alone first: the plain pin takes the CPU build where one is configured, and the rest then keeps it.
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -q $$(grep '^torch==' requirements.txt)
	$(BIN)/python -m pip install --disable-pip-version-check --progress-bar off -q -r requirements.txt -r requirements-dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check -q --no-deps -e .
	@touch $@

setup: $(VENV)/ready ## make the virtual environment

demo: setup ## train briefly on the phantom, interpolate a pullback, make a picture (outputs/demo)
	$(RUN) -m custom.demo --output_dir outputs/demo

test: setup ## the whole test suite
	$(RUN) -m pytest

lint: setup ## style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean: ## remove the environment and what the demo made
	rm -rf $(VENV) outputs/demo
