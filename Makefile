# Wirepost: the two commands are `make run` and `make test`. Needs Python 3.11 or newer with its venv module, and make.
# POSIX sh and make 3.81 (which macOS ships) are enough.

PYTHON = python3
VENV   = .venv
BIN    = $(VENV)/bin

# What stands installed, as two stamp files: a second `make run` installs nothing unless a lock or pyproject.toml changed.
RUN_STAMP  = $(VENV)/.run-installed
TEST_STAMP = $(VENV)/.test-installed
PIP        = $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: run test fast soak simulate test-real bench docs corpus lock clean

run: $(RUN_STAMP) ## Run the bot with config/wirepost.toml
	$(BIN)/wirepost run

test: fast ## The whole suite: the fast checks first, then the tests
	$(BIN)/python -m pytest -n 4 -m "not real and not soak"

fast: $(TEST_STAMP) ## Style, types, layers, generated pages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/python -m docs.generate --check
	$(BIN)/check-jsonschema --schemafile config/wirepost.schema.json config/wirepost.toml config/newsroom.example.toml

soak: $(TEST_STAMP) ## The full counts (kills, seeds): takes long
	$(BIN)/python -m pytest -n 2 -m soak

SEEDS = 100
FROM  = 1

simulate: $(TEST_STAMP) ## So many simulated weeks under an adversary: make simulate SEEDS=N FROM=seed
	$(BIN)/python -m tests.simulation --seeds $(SEEDS) --from $(FROM)

test-real: $(TEST_STAMP) ## Against a real peer's server (fetches and builds it first)
	$(BIN)/python -m pytest -m real

bench: $(TEST_STAMP) ## Speed and memory, measured: make bench, make bench ONLY="delivery planning" ROUNDS=3
	$(BIN)/python -m bench $(ONLY) $(if $(ROUNDS),--rounds $(ROUNDS)) $(if $(WRITE),--write)

docs: $(TEST_STAMP) ## Write the generated pages of docs/ and the settings' schema
	$(BIN)/python -m docs.generate

corpus: $(TEST_STAMP) ## Read a folder of feeds and articles and compare: make corpus DIR=…
	@test -n "$(DIR)" || { echo "make corpus DIR=folder: which folder?" >&2; exit 2; }
	$(BIN)/python -m bench.corpus "$(DIR)"

# Needs uv on the PATH (https://docs.astral.sh/uv/); nothing else here does. The locks hold names, versions and hashes
# for every platform, and no index address: where packages come from is each machine's own setting.
LOCK = uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	--extra postgres

lock: ## Pin anew what pyproject.toml asks for
	$(LOCK) --group build --output-file requirements.lock
	$(LOCK) --group build --group dev --output-file requirements-dev.lock

clean: ## Remove what make made (never var/, which holds the store)
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name it: make run PYTHON=python3.11" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

# The editable install needs no index either: its build tools are in the locks.
$(RUN_STAMP): requirements.lock pyproject.toml | $(BIN)/python
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(TEST_STAMP): requirements-dev.lock $(RUN_STAMP)
	$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@
