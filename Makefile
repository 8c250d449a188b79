# make demo: from a shipped model and measured data to a model of its own and its proposals
# make test: the whole suite          make quick: without the slow tests
# (JOBS=n: processes that run the tests)
# make lint: ruff and mypy            make clean: remove .venv and demo/
# make docs: docs/_build/html/index.html; with EXECUTE=1 the notebooks' results too (minutes)
# make notebooks: the .ipynb of every notebook, from its .py

PYTHON ?= python3
JOBS   ?= 2
VENV   ?= .venv
BIN    := $(VENV)/bin

.DELETE_ON_ERROR:
.PHONY: demo test quick lint coverage docs notebooks clean

demo: $(VENV)/.installed
	$(BIN)/python scripts/demo.py

test: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder

quick: $(VENV)/.installed-dev
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder -m "not slow"

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: $(VENV)/.installed-dev
	$(BIN)/coverage run -m pytest
	$(BIN)/coverage combine
	$(BIN)/coverage report

docs: $(VENV)/.installed-dev
	MOLVAE_DOCS_EXECUTE=$(EXECUTE) $(BIN)/python -m sphinx -W --keep-going -q docs docs/_build/html

notebooks: $(VENV)/.installed-dev
	$(BIN)/python scripts/notebooks.py

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "molvae needs Python 3.11 or newer; run: make PYTHON=/path/to/python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e .
	@touch $@

$(VENV)/.installed-dev: pyproject.toml constraints.txt | $(BIN)/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@ $(VENV)/.installed

clean:
	rm -rf $(VENV) demo docs/_build
