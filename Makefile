# Two commands on a machine with Python 3.11+ and nothing else: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
INSTALLED := $(VENV)/.installed

.PHONY: help demo test

help:
	@echo "make demo   install into $(VENV), then the whole path in minutes: workspace/demo/report.html"
	@echo "make test   install into $(VENV), then every check and the tests"

demo: $(INSTALLED)
	$(VENV)/bin/gato demo

test: $(INSTALLED)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	OMP_NUM_THREADS=$${OMP_NUM_THREADS:-1} $(VENV)/bin/python -m pytest

# Touched last: an install that failed is tried again, one that stands is not.
$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c "import sys; sys.exit(0 if sys.version_info >= (3, 11) else 'Gato needs Python 3.11 or newer; try make PYTHON=python3.12')"
	$(PYTHON) -m venv $(VENV)
	$(VENV)/bin/python -m pip install --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	@touch $@
