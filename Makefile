# The door to everything: each target sets up what it needs below target/ and tests/node/.
# Needed on the machine: Rust 1.95 (cargo, rustfmt, clippy), a C compiler, CPython 3.11 with pip,
# make, and Node 20 with npm for the basic-mode tests. zsh, fish and chromium are installed where
# that may be done (`$(STAMPS)/tools`); tests that need one that is missing are skipped.

.DEFAULT_GOAL := help
.NOTPARALLEL:
SHELL := bash
.SHELLFLAGS := -euo pipefail -c

PYTHON ?= python3
CARGO ?= cargo
# Which scenario files, and how they are run: `make scenarios DRIVER=rust STORE=sqlite FILES=…`.
DRIVER ?= python
STORE ?= memory
FILES ?= $(SCENARIOS)
# What is measured: `make bench BENCH="--only ingest_1"`.
BENCH ?=

VENV := target/venv
BIN := $(CURDIR)/$(VENV)/bin
STAMPS := target/stamps
EXTENSION := $(STAMPS)/extension
RUST_DRIVER := target/debug/stayline-driver
# The project's own cases and, where a checkout has them beside it, the shared ones.
SCENARIOS := tests/scenarios $(wildcard ../shared/scenarios)
LIBRARY_SUFFIX := $(if $(filter Darwin,$(shell uname -s)),dylib,so)
RUST_SOURCES := $(shell find core/src python/src -name '*.rs' 2>/dev/null) \
	Cargo.toml Cargo.lock core/Cargo.toml python/Cargo.toml $(shell find ffi -name '*.rs' -o -name Cargo.toml 2>/dev/null)
PYTHON_CODE := $(wildcard python/stayline tests/python tests/node/lib tests/proof examples docs)

# One interpreter and one profile for every build, so that nothing compiles twice.
export PYO3_PYTHON := $(BIN)/python
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export CARGO_TERM_COLOR ?= auto
export PYTHONDONTWRITEBYTECODE ?= 1

.PHONY: help
help: ## Say what there is.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		while IFS=$$'\t' read -r name text; do printf '  make %-12s %s\n' "$$name" "$$text"; done

# --- set-up ---------------------------------------------------------------------------------------

$(STAMPS)/venv: python/requirements-dev.txt
	@$(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) has no venv module; install it (python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r python/requirements-dev.txt
	@mkdir -p $(STAMPS) && touch $@

# Always the whole workspace: the features of shared dependencies depend on what is built, and
# building the same things everywhere is what lets nothing compile twice.
#
# Installed in place: Python code is used from python/, only the extension is compiled.
$(EXTENSION): $(STAMPS)/venv $(RUST_SOURCES)
	@echo "building the Python module (some minutes the first time)"
	@$(CARGO) build --quiet --workspace --exclude stayline-benches --exclude stayline-synced-only
	@install -m 755 target/debug/libstayline_python.$(LIBRARY_SUFFIX) python/stayline/_internal.abi3.so
	@echo '$(CURDIR)/python' > "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/stayline.pth"
	@printf '#!%s\nimport sys\n\nfrom stayline.cli import main\n\nsys.exit(main())\n' $(BIN)/python > $(BIN)/stayline
	@chmod +x $(BIN)/stayline
	@touch $@

$(RUST_DRIVER): $(EXTENSION)
	@touch $@

$(STAMPS)/node: tests/node/package.json tests/node/package-lock.json
	cd tests/node && npm ci --no-audit --no-fund --loglevel=error
	@mkdir -p $(STAMPS) && touch $@

# Programs that some tests need: shells that complete, a browser that draws. Where make may install
# them it does; elsewhere those tests are skipped, and say so.
TOOLS := zsh fish chromium
$(STAMPS)/tools:
	@missing=; for tool in $(TOOLS); do command -v $$tool >/dev/null || missing+=" $$tool"; done; \
	if [ -n "$$missing" ] && [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing for the tests:$$missing"; \
		{ apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
			apt-get -qq install --no-install-recommends $$missing; } >/dev/null 2>&1 && missing= || true; \
	fi; \
	if [ -n "$$missing" ]; then \
		echo "not on this machine, so their tests are skipped:$$missing (Debian: apt-get install$$missing)" >&2; \
	fi
	@mkdir -p $(STAMPS) && touch $@

.PHONY: build
build: $(EXTENSION) ## Build the Python module into target/venv (its `stayline` command too).

# --- what people run --------------------------------------------------------------------------------

.PHONY: demo
demo: $(EXTENSION) ## Show the main job on real input, through cuts and kills.
	@$(BIN)/python examples/demo/demo.py

# With a module of the release build: what a user has.
.PHONY: bench
bench: $(STAMPS)/venv ## Measure, each figure with its floor in the same run (target/bench.json).
	$(CARGO) build --release -p stayline-benches -p stayline-python
	@rm -rf target/release-python && mkdir -p target/release-python
	@cp -R python/stayline target/release-python/
	@install -m 755 target/release/libstayline_python.$(LIBRARY_SUFFIX) \
		target/release-python/stayline/_internal.abi3.so
	PYTHON=$(BIN)/python PYTHONPATH=$(CURDIR)/target/release-python target/release/bench $(BENCH)

.PHONY: wheel
wheel: $(STAMPS)/venv ## Build a wheel into target/wheels.
	$(BIN)/maturin build --release --compatibility linux --manifest-path python/Cargo.toml --out target/wheels

# Each as TARGET=PROMISE. rustup brings the standard libraries, zig the C compiler and linker.
WHEELS ?= x86_64-unknown-linux-gnu=manylinux2014 aarch64-unknown-linux-gnu=manylinux2014 \
	x86_64-unknown-linux-musl=musllinux_1_2 aarch64-unknown-linux-musl=musllinux_1_2
.PHONY: wheels
wheels: $(STAMPS)/venv ## Build what is published: WHEELS="TARGET=PROMISE …", and the source distribution.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r python/requirements-wheels.txt
	$(BIN)/maturin sdist --manifest-path python/Cargo.toml --out target/wheels
	for wheel in $(WHEELS); do \
		rustup target add $${wheel%%=*}; \
		PATH=$(BIN):$$PATH $(BIN)/maturin build --release --zig --target $${wheel%%=*} \
			--compatibility $${wheel#*=} --manifest-path python/Cargo.toml --out target/wheels; done

# --- checks -------------------------------------------------------------------------------------------

.PHONY: test
test: lint test-rust test-scenarios test-python test-node ## Everything but the long proofs.

.PHONY: lint
lint: lint-rust lint-python ## Format, clippy, features, ruff, mypy, stubtest.

.PHONY: lint-rust
lint-rust: $(STAMPS)/venv
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) check -p stayline --no-default-features
	for feature in sqlite server client tls server,tls; do \
		$(CARGO) check -p stayline --no-default-features --features $$feature; done

.PHONY: lint-python
lint-python: $(EXTENSION)
	$(BIN)/ruff check --config python/pyproject.toml $(PYTHON_CODE)
	$(BIN)/ruff format --check --config python/pyproject.toml $(PYTHON_CODE)
	$(BIN)/mypy --config-file python/pyproject.toml --strict -p stayline
	$(BIN)/mypy --config-file python/pyproject.toml --strict examples
	$(BIN)/python -m mypy.stubtest --mypy-config-file python/pyproject.toml stayline._internal

.PHONY: test-rust
test-rust: $(STAMPS)/venv
	$(CARGO) test --workspace

.PHONY: scenarios
scenarios: $(EXTENSION) $(if $(filter rust,$(DRIVER)),$(RUST_DRIVER)) ## Run scenario files: DRIVER=python|rust FILES="…" STORE=memory|sqlite.
	$(BIN)/python -m stayline.testing $(FILES) --store $(STORE) \
		--driver $(if $(filter rust,$(DRIVER)),$(RUST_DRIVER),$(DRIVER))

.PHONY: test-scenarios
test-scenarios:
	for driver in python rust; do for store in memory sqlite; do \
		echo "scenarios: driver $$driver, store $$store"; \
		$(MAKE) --no-print-directory scenarios DRIVER=$$driver STORE=$$store; done; done

.PHONY: test-python
test-python: $(EXTENSION) $(RUST_DRIVER) $(STAMPS)/tools
	$(BIN)/python -m pytest -c python/pyproject.toml --rootdir . tests/python

.PHONY: test-node
test-node: $(EXTENSION) $(STAMPS)/node
	cd tests/node && STAYLINE=$(BIN)/stayline STAYLINE_PYTHON=$(BIN)/python node --test --test-reporter=spec

.PHONY: proof
proof: $(EXTENSION) $(RUST_DRIVER) ## What takes longer: mutations, long seeds (tests/proof).
	shopt -s nullglob; for proof in tests/proof/*.sh tests/proof/*.py; do \
		echo "proof: $$proof"; \
		case $$proof in *.sh) bash $$proof;; *) $(BIN)/python $$proof;; esac; done

# --- upkeep -------------------------------------------------------------------------------------------

.PHONY: docs
docs: $(EXTENSION) ## Write docs/settings.md and docs/errors.md from the tables, and the docstrings of the stub.
	$(CARGO) test --workspace --test documentation || $(CARGO) test --workspace --test documentation
	$(BIN)/python tests/python/stub_docs.py

.PHONY: pictures
pictures: $(EXTENSION) ## Take the captures and pictures of docs/cli.md anew (tmux, chromium).
	$(BIN)/python docs/pictures.py

.PHONY: format
format: $(STAMPS)/venv ## Format the Rust and Python code.
	$(CARGO) fmt --all
	$(BIN)/ruff format --config python/pyproject.toml $(PYTHON_CODE)
	$(BIN)/ruff check --fix --config python/pyproject.toml $(PYTHON_CODE)
