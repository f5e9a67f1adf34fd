# Two targets do everything, on a machine with Python 3.11+ and make:
#   make book   install, run the quick profile, render the book, print where it is
#   make test   install, run the whole test suite
# Without make: see "The same without make" in README.md.

comma := ,
PYTHON ?= python3
PROFILE ?= quick
# The studies find every core by themselves; numerical libraries keep to one thread a process.
BIN := .venv/bin
PIP := $(BIN)/python -m pip install --disable-pip-version-check --no-compile -q -c constraints.txt
# uv installs the same in a quarter of the time; where it cannot be had, pip does it.
INSTALL = { $(PIP) uv && $(BIN)/uv pip install -q --python $(BIN)/python -c constraints.txt -e $(1); } || $(PIP) -e $(1)

# Python's bytecode is kept even where the environment says otherwise: torch takes ten seconds to import without.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: book test clean

book: .venv/.installed-book
	$(BIN)/python -m hep2lib run --profile $(PROFILE) --book

test: .venv/.installed-test
	HEP2_PROGRESS=0 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "Python 3.11 or newer is needed; say which one: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 2; }
	$(PYTHON) -m venv .venv

.venv/.installed-book: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing what the book needs (torch is large: one to three minutes) ..."
	$(call INSTALL,'.[book]')
	@touch $@

.venv/.installed-test: pyproject.toml constraints.txt | .venv/bin/python
	@echo "Installing what the tests need (torch is large: two to four minutes) ..."
	$(call INSTALL,'.[book$(comma)test]')
	@touch $@ .venv/.installed-book

clean:
	rm -rf .venv runs data build _build
