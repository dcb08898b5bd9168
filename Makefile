# make demo: install, run three sweeps, draw the README's figures.   make test: install, check, test.
# make soak: random input in large numbers, other instruction sets, killed sweeps. Takes hours.
# make docs: the documentation as a site, into site/.
VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
CONSTRAINTS := -c constraints.txt

.PHONY: demo test lint docs soak bench clean

$(VENV)/.base: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check $(CONSTRAINTS) torch  # first: the small CPU build
	$(BIN)/python -m pip install -q --disable-pip-version-check $(CONSTRAINTS) -e .
	touch $@

$(VENV)/.test: $(VENV)/.base
	$(BIN)/python -m pip install -q --disable-pip-version-check $(CONSTRAINTS) -e '.[test,dev]'
	touch $@

$(VENV)/.docs: $(VENV)/.base
	$(BIN)/python -m pip install -q --disable-pip-version-check $(CONSTRAINTS) -e '.[docs]'
	touch $@

demo: $(VENV)/.base
	$(BIN)/featlearn sweep configs/chen2023_dynamics.yaml --out results/chen2023_dynamics --jobs 2
	$(BIN)/featlearn sweep configs/chen2023_theorem.yaml --out results/chen2023_theorem --jobs 2
	$(BIN)/featlearn sweep configs/quickstart.yaml --out results/quickstart --jobs 2
	$(BIN)/featlearn plot phase results/quickstart -o results/fixed_radius_phase.png
	$(BIN)/featlearn plot difference results/quickstart -o results/fixed_radius_difference.png
	$(BIN)/featlearn plot dynamics results/chen2023_dynamics -o results/dynamics.png
	$(BIN)/featlearn plot phase results/chen2023_theorem -o results/phase.png

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist worksteal

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "site/index.html (its search needs a server: python -m http.server --directory site)"

soak: $(VENV)/.test
	FEATLEARN_FUZZ=10000 OMP_NUM_THREADS=1 $(BIN)/python -m pytest tests/config/test_hostile.py tests/test_processors.py
	$(BIN)/python tests/soak/kills.py 300
	$(BIN)/python tests/soak/dask_workers.py 50

bench: $(VENV)/.base
	$(BIN)/featlearn bench --json results/bench.json --figures results

clean:
	rm -rf $(VENV) results site
