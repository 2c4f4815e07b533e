# make demo and make test work on a bare machine with Python 3.11 or newer.
PYTHON ?= python3
BIN = .venv/bin
ONE_THREAD = OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false

.PHONY: setup demo test test-slow check format wheel bench planted-curves planted-downstream planted-mitigation interval-coverage clean

setup: .venv/.ready

.venv/.ready: pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "fairbench wants Python 3.11 or newer; say make PYTHON=python3.11")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev]"
	touch .venv/.ready

demo: setup  ## score the shipped planted models and say which is biased
	$(BIN)/fairbench demo

test: setup  ## everything that is not marked slow
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 -m "not slow"

test-slow: setup  ## kills, training, documentation commands
	$(ONE_THREAD) $(BIN)/python -m pytest -n 2 -m slow

check: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

wheel: setup  ## build, install elsewhere, run the command from another folder
	$(BIN)/python scripts/wheel.py

bench: setup  ## speed as ratios, measured side by side in one run
	$(BIN)/python -m tests.bench

planted-curves: setup  ## does every metric see planted bias? trains about 24 small models: an hour
	$(ONE_THREAD) $(BIN)/python scripts/planted_curves.py

planted-downstream: setup  ## do classifiers show what their labels taught them? trains about 100 small ones: half an hour
	$(ONE_THREAD) $(BIN)/python scripts/planted_downstream.py

planted-mitigation: setup  ## what does each mitigation do to planted bias? trains about 30 small models: an hour and a half
	$(ONE_THREAD) $(BIN)/python scripts/planted_mitigation.py

interval-coverage: setup  ## how often do intervals and tests hold? simulates some hours; goes on where it stopped
	$(ONE_THREAD) $(BIN)/python scripts/interval_coverage.py
	$(BIN)/python scripts/interval_coverage.py --page docs/uncertainty.md

clean:
	rm -rf .venv .bench .planted build dist *.egg-info demo-results
