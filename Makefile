# `make demo` runs the main job, `make test` the tests; each does all its own set-up. Python >= 3.11 and make are all it needs.
SHELL := /bin/bash
VENV  := .venv
BIN   := $(VENV)/bin
PY    := $(BIN)/python
READY := $(VENV)/.ready

.PHONY: demo test check bench torture format clean help

help:
	@echo "make demo      a whole simulated site, from a PLC register to a regulator's webhook (Ctrl-C ends it)"
	@echo "make test      all tests and checks"
	@echo "make check     ruff, mypy strict, import-linter"
	@echo "make bench     the benchmarks"
	@echo "make torture   the long forms of the fault tests"

demo: $(READY)
	@$(BIN)/davylamp-sim demo $(ARGS)

test: $(READY) check
	$(PY) -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(READY)
	$(PY) -m benchmarks all $(ARGS)

torture: $(READY)
	$(PY) -m pytest -q -m torture --timeout=7200 $(ARGS)

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml setup-venv.sh
	@./setup-venv.sh $(VENV)
	@touch $@

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
