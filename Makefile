# The door to everything: each target sets up what it needs below target/ and tests/node/.
# Needed on the machine: Rust 1.95 (cargo, rustfmt, clippy), a C compiler, CPython 3.11 with pip,
# make, and Node 20 with npm for the tests with other clients. What the tests of the C side need is
# installed from Debian by root, and named to others (`tests/capi/packages.sh`); zsh, fish,
# chromium and nginx too (`$(STAMPS)/tools`), and tests that need one of those that is missing are
# skipped.

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
# Where and how the C library is installed: `make capi PREFIX=/usr DESTDIR=… PROFILE=release`.
PREFIX ?= /usr/local
LIBDIR ?= lib
DESTDIR ?=
PROFILE ?= release
# What is measured: `make bench BENCH="--only ingest_1"`; what it is compared with, how often, and
# which lines: `make bench-against REV=v0.1.0 ROUNDS=5 NAMES="ingest_10 replay"`.
BENCH ?=
REV ?=
ROUNDS ?= 5
NAMES ?=

VENV := target/venv
BIN := $(CURDIR)/$(VENV)/bin
STAMPS := target/stamps
EXTENSION := $(STAMPS)/extension
RUST_DRIVER := target/debug/stayline-driver
# The project's own cases and, where a checkout has them beside it, the shared ones.
SCENARIOS := tests/scenarios $(wildcard ../shared/scenarios)
# The C library for the tests, and the drivers that are built with it.
CAPI := $(CURDIR)/target/capi
DRIVERS := $(CURDIR)/target/drivers
LIBRARY_SUFFIX := $(if $(filter Darwin,$(shell uname -s)),dylib,so)
RUST_SOURCES := $(shell find core/src python/src sqlite-locks/src -name '*.rs' -o -name '*.c' 2>/dev/null) \
	Cargo.toml Cargo.lock core/Cargo.toml python/Cargo.toml sqlite-locks/Cargo.toml sqlite-locks/build.rs $(shell find ffi -name '*.rs' -o -name Cargo.toml 2>/dev/null)
CAPI_SOURCES := $(shell find core/src ffi/src sqlite-locks/src -name '*.rs' -o -name '*.c') $(wildcard ffi/cmake/* ffi/*.sh ffi/*.map ffi/build.rs) \
	Cargo.toml Cargo.lock core/Cargo.toml ffi/Cargo.toml sqlite-locks/Cargo.toml sqlite-locks/build.rs $(shell find include -name '*.h*')
DRIVER_SOURCES = $(shell find tests/drivers -type f)
PYTHON_CODE := $(wildcard python/stayline python/stayline_command tests/python tests/capi tests/house \
	tests/node/lib tests/proof benches fuzz ffi/manual examples docs)

# The newest that Rust 1.95 can build.
CARGO_C_VERSION := 0.10.24+cargo-0.98.0
CARGO_C_STAMP := $(STAMPS)/cargo-c-$(firstword $(subst +, ,$(CARGO_C_VERSION)))
ifeq ($(lastword $(shell cargo-capi --version 2>/dev/null)),$(CARGO_C_VERSION))
CARGO_CAPI_READY :=
else
CARGO_CAPI_READY := $(CARGO_C_STAMP)
endif

# One interpreter and one profile for every build, so that nothing compiles twice.
export PYO3_PYTHON := $(BIN)/python
export VIRTUAL_ENV := $(CURDIR)/$(VENV)
export CARGO_TERM_COLOR ?= auto
export PYTHONDONTWRITEBYTECODE ?= 1

.PHONY: help
help: ## Say what there is.
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | \
		while IFS=$$'\t' read -r name text; do printf '  make %-13s %s\n' "$$name" "$$text"; done

# --- set-up ---------------------------------------------------------------------------------------

$(STAMPS)/venv: python/requirements-dev.txt
	@$(PYTHON) -m venv $(VENV) || { echo "make: $(PYTHON) has no venv module; install it (python3-venv)" >&2; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r python/requirements-dev.txt
	@mkdir -p $(STAMPS) && touch $@

# Always the whole workspace: the features of shared dependencies depend on what is built, and
# building the same things everywhere is what lets nothing compile twice.
#
# Installed in place: Python code is used from python/, only the extension is compiled. Interpreters
# without a GIL load no abi3.
$(EXTENSION): $(STAMPS)/venv $(RUST_SOURCES)
	@echo "building the Python module (some minutes the first time)"
	@$(CARGO) build --quiet --workspace --exclude stayline-benches --exclude stayline-synced-only
	@suffix=$$($(BIN)/python -c 'import sysconfig as about; print( \
		about.get_config_var("EXT_SUFFIX") if about.get_config_var("Py_GIL_DISABLED") else ".abi3.so")'); \
		install -m 755 target/debug/libstayline_python.$(LIBRARY_SUFFIX) python/stayline/_internal$$suffix
	@echo '$(CURDIR)/python' > "$$($(BIN)/python -c 'import site; print(site.getsitepackages()[0])')/stayline.pth"
	@printf '#!%s\nimport sys\n\nfrom stayline_command import main\n\nsys.exit(main())\n' $(BIN)/python > $(BIN)/stayline
	@chmod +x $(BIN)/stayline
	@touch $@

$(RUST_DRIVER): $(EXTENSION)
	@touch $@

$(STAMPS)/node: tests/node/package.json tests/node/package-lock.json
	cd tests/node && npm ci --no-audit --no-fund --loglevel=error
	@mkdir -p $(STAMPS) && touch $@

# A tool that runs for seconds: built as fast as can be, not to be fast.
$(CARGO_C_STAMP):
	@bash tests/capi/packages.sh "building cargo-c" pkg-config libssl-dev libcurl4-openssl-dev
	@echo "building cargo-c (some minutes, once)"
	@CARGO_PROFILE_DEV_DEBUG=0 CARGO_PROFILE_DEV_DEBUG_ASSERTIONS=false \
		CARGO_PROFILE_DEV_OVERFLOW_CHECKS=false CARGO_PROFILE_DEV_CODEGEN_UNITS=16 \
		$(CARGO) install --quiet cargo-c@$(CARGO_C_VERSION) --locked --debug --bin cargo-capi \
		--root target/tools --target-dir target/tools/build
	@rm -rf target/tools/build
	@mkdir -p $(STAMPS) && touch $@

CAPI_PACKAGES := pkg-config cmake g++ clang libclang-rt-14-dev valgrind libcjson-dev \
	nlohmann-json3-dev libboost-dev libsqlite3-dev libssl-dev libuv1-dev libwebsockets-dev \
	abigail-tools doxygen
$(STAMPS)/capi-packages: tests/capi/packages.sh
	@bash $< "testing the C library" $(CAPI_PACKAGES)
	@mkdir -p $(STAMPS) && touch $@

# What users get, but for the profile.
$(STAMPS)/capi: $(CAPI_SOURCES) $(CARGO_CAPI_READY)
	@echo "installing the C library for the tests (some minutes the first time)"
	@rm -rf $(CAPI)
	@STAYLINE_QUIET_INSTALL=1 $(MAKE) --no-print-directory capi PREFIX=$(CAPI) LIBDIR=lib DESTDIR= PROFILE=quick
	@touch $@

$(STAMPS)/drivers: $(STAMPS)/capi $(STAMPS)/capi-packages $(DRIVER_SOURCES)
	@$(MAKE) --no-print-directory -C tests/drivers PREFIX=$(CAPI) OUT=$(DRIVERS) c cpp
	@touch $@

# Programs that some tests need: shells that complete, a browser that draws, a proxy. Where make may
# install them it does; elsewhere those tests are skipped, and say so. (nginx is where only root's
# shells look.)
TOOLS := zsh fish chromium nginx
$(STAMPS)/tools:
	@missing=; PATH="$$PATH:/usr/sbin"; for tool in $(TOOLS); do command -v $$tool >/dev/null || missing+=" $$tool"; done; \
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
	@$(BIN)/stayline demo

# With a module of the release build: what a user has.
.PHONY: bench-build
bench-build: $(STAMPS)/venv
	$(CARGO) build --release -p stayline-benches -p stayline-python -p stayline-ffi
	@rm -rf target/release-python && mkdir -p target/release-python
	@cp -R python/stayline target/release-python/
	@install -m 755 target/release/libstayline_python.$(LIBRARY_SUFFIX) \
		target/release-python/stayline/_internal.abi3.so

.PHONY: bench
bench: bench-build ## Measure, each figure with its floor in the same run (target/bench.json).
	PYTHON=$(BIN)/python PYTHONPATH=$(CURDIR)/target/release-python target/release/bench $(BENCH)

.PHONY: bench-against
bench-against: bench-build ## Measure in turns with another commit: REV=… ROUNDS=5 NAMES="ingest_10 …".
	@$(if $(REV),,echo "make: say which commit to compare with: REV=…" >&2; exit 1)
	$(BIN)/python benches/against.py $(REV) --rounds $(ROUNDS) $(NAMES)

.PHONY: wheel
wheel: $(STAMPS)/venv ## Build a wheel into target/wheels.
	$(BIN)/maturin build --release --compatibility linux --manifest-path python/Cargo.toml --out target/wheels

# Through cargo, so that rustup keeps to one toolchain whatever a dependency's sources name for
# themselves. In a folder of its own: another version of cargo is in there, and the two would take
# each other's files for out of date, and build everything anew each time.
.PHONY: capi
capi: $(CARGO_CAPI_READY) ## Install the C library: PREFIX=/usr/local LIBDIR=lib DESTDIR=… PROFILE=release|dev|quick.
	PATH="$(CURDIR)/target/tools/bin:$$PATH" $(CARGO) capi install --locked --package stayline-ffi --profile $(PROFILE) \
		--target-dir target/cargo-c \
		--prefix $(abspath $(PREFIX)) --libdir $(LIBDIR) --datadir $(LIBDIR) \
		$(if $(DESTDIR),--destdir $(abspath $(DESTDIR)))
	@CARGO=$(CARGO) bash ffi/install.sh $(abspath $(PREFIX)) $(LIBDIR) $(PROFILE) $(if $(DESTDIR),$(abspath $(DESTDIR)))

.PHONY: uncapi
uncapi: ## Take the C library away again: PREFIX=… LIBDIR=… DESTDIR=… as it was installed.
	@prefix=$(if $(DESTDIR),$(abspath $(DESTDIR)))$(abspath $(PREFIX)); library=$$prefix/$(LIBDIR); \
	rm -rf $$prefix/include/stayline $$library/cmake/stayline $$prefix/share/licenses/stayline \
		$$prefix/share/doc/stayline; \
	rm -f $$prefix/include/stayline.h $$prefix/include/stayline.hpp $$library/pkgconfig/stayline.pc \
		$$library/libstayline.a $$library/libstayline.so* $$library/libstayline*.dylib; \
	rmdir -p --ignore-fail-on-non-empty $$library/cmake $$library/pkgconfig $$prefix/share/licenses \
		$$prefix/share/doc 2>/dev/null || true; \
	echo "nothing of stayline is in $$prefix any more"

# Each as TARGET=PROMISE, and for each one abi3 wheel and one for the interpreter without a GIL, which
# has no stable ABI before 3.15; maturin knows its layout, it need not be there. rustup brings the
# standard libraries, zig the C compiler and linker.
FREE_THREADED ?= python3.14t
WHEELS ?= x86_64-unknown-linux-gnu=manylinux2014 aarch64-unknown-linux-gnu=manylinux2014 \
	x86_64-unknown-linux-musl=musllinux_1_2 aarch64-unknown-linux-musl=musllinux_1_2
.PHONY: wheels
wheels: $(STAMPS)/venv ## Build what is published: WHEELS="TARGET=PROMISE …", and the source distribution.
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r python/requirements-wheels.txt
	$(BIN)/maturin sdist --manifest-path python/Cargo.toml --out target/wheels
	for wheel in $(WHEELS); do \
		rustup target add $${wheel%%=*}; \
		for interpreter in '' $(FREE_THREADED:%=--interpreter=%); do \
			PATH=$(BIN):$$PATH $(BIN)/maturin build --release --zig --target $${wheel%%=*} $$interpreter \
				--compatibility $${wheel#*=} --manifest-path python/Cargo.toml --out target/wheels; \
		done; done

# --- checks -------------------------------------------------------------------------------------------

.PHONY: test
test: lint test-rust test-python-meanwhile test-scenarios test-capi test-node ## Everything but the long proofs.
	@$(MAKE) --no-print-directory scenario-counts

# Testing Python leaves most of the machine idle, and building the C library takes minutes where it
# was not built before: the one is done beside the other. What the building says comes at its end.
.PHONY: test-python-meanwhile
test-python-meanwhile: $(STAMPS)/tools $(STAMPS)/capi-packages
	@log=target/capi.log; nice $(MAKE) --no-print-directory $(STAMPS)/drivers >$$log 2>&1 & building=$$!; \
	$(MAKE) --no-print-directory test-python || { kill $$building 2>/dev/null || true; exit 1; }; \
	wait $$building && built=0 || built=$$?; cat $$log; exit $$built

.PHONY: lint
lint: lint-rust lint-python lint-c lint-house ## Format, clippy, features, ruff, mypy, stubtest, C and C++ by two compilers, the rules.

.PHONY: lint-rust
lint-rust: $(STAMPS)/venv
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) fmt --manifest-path fuzz/Cargo.toml --check
	$(CARGO) check -p stayline --no-default-features
	for feature in sqlite server client tls server,tls client,fuzzing; do \
		$(CARGO) check -p stayline --no-default-features --features $$feature; done

.PHONY: lint-python
lint-python: $(EXTENSION)
	$(BIN)/ruff check --config python/pyproject.toml $(PYTHON_CODE)
	$(BIN)/ruff format --check --config python/pyproject.toml $(PYTHON_CODE)
	$(BIN)/mypy --config-file python/pyproject.toml --strict -p stayline -p stayline_command
	$(BIN)/mypy --config-file python/pyproject.toml --strict examples
	$(BIN)/mypy --config-file python/pyproject.toml --strict tests/capi
	$(BIN)/mypy --config-file python/pyproject.toml --strict tests/house ffi/manual
	$(BIN)/python -m mypy.stubtest --mypy-config-file python/pyproject.toml stayline._internal

# What tests/capi compiles, it compiles by both; building the drivers is the other half of this.
C_WARNINGS := -Wall -Wextra -Werror -pedantic -fsyntax-only -Iinclude
.PHONY: lint-c
lint-c: $(STAMPS)/capi-packages
	@flags="$(C_WARNINGS) $$(pkg-config --cflags libcjson)"; \
	for source in benches/c/*.c; do gcc -std=c99 $$flags $$source; done; \
	for source in benches/c/*.c tests/drivers/c/*.c; do clang -std=c99 $$flags $$source; done; \
	for source in tests/drivers/cpp/*.cpp; do clang++ -std=c++17 $$flags $$source; done

# What the documents say of the code, and the other way round.
.PHONY: lint-house
lint-house: $(STAMPS)/venv
	cd tests/house && $(BIN)/python -m pytest -c ../../python/pyproject.toml --rootdir=../.. -q .

.PHONY: test-rust
test-rust: $(STAMPS)/venv
	$(CARGO) test --workspace

# What the interpreter is told for each language, and what must be built for it.
DRIVER_COMMAND_python := python
DRIVER_COMMAND_rust := $(RUST_DRIVER)
DRIVER_COMMAND_c := $(DRIVERS)/stayline-driver-c
DRIVER_COMMAND_cpp := $(DRIVERS)/stayline-driver-cpp
DRIVER_NEEDS_rust := $(RUST_DRIVER)
DRIVER_NEEDS_c := $(STAMPS)/drivers
DRIVER_NEEDS_cpp := $(STAMPS)/drivers
SCENARIOS_RAN := target/scenarios-ran

.PHONY: scenarios
scenarios: $(EXTENSION) $(DRIVER_NEEDS_$(DRIVER)) ## Run scenario files: DRIVER=python|rust|c|cpp FILES="…" STORE=memory|sqlite.
	@$(if $(DRIVER_COMMAND_$(DRIVER)),,echo "make: DRIVER is python, rust, c or cpp" >&2; exit 1)
	$(BIN)/python -m stayline.testing $(FILES) --store $(STORE) \
		--driver $(DRIVER_COMMAND_$(DRIVER))

.PHONY: test-scenarios
test-scenarios:
	@rm -rf $(SCENARIOS_RAN) && mkdir -p $(SCENARIOS_RAN)
	@for driver in python rust c cpp; do for store in memory sqlite; do \
		echo "scenarios: driver $$driver, store $$store"; \
		$(MAKE) --no-print-directory scenarios DRIVER=$$driver STORE=$$store | \
			tee $(SCENARIOS_RAN)/$$driver-$$store; done; done
	@$(MAKE) --no-print-directory scenario-counts

.PHONY: scenario-counts
scenario-counts:
	@echo "scenarios that passed, in memory and in a file"
	@for driver in python rust c cpp; do printf '  %-8s %8s %8s\n' $$driver \
		$$(tail -qn 1 $(SCENARIOS_RAN)/$$driver-{memory,sqlite} | cut -d ' ' -f 1); done

.PHONY: test-python
test-python: $(EXTENSION) $(RUST_DRIVER) $(STAMPS)/tools
	$(BIN)/python -m pytest -c python/pyproject.toml --rootdir . tests/python

# Two at a time: most of what they do is compiling.
.PHONY: test-capi
test-capi: $(EXTENSION) $(RUST_DRIVER) $(STAMPS)/drivers ## Test the C and C++ interface as it is installed.
	STAYLINE_PREFIX=$(CAPI) $(BIN)/python -m pytest -c python/pyproject.toml --rootdir . \
		-o timeout=300 -n 2 tests/capi

.PHONY: test-node
test-node: $(EXTENSION) $(STAMPS)/node
	cd tests/node && STAYLINE=$(BIN)/stayline STAYLINE_PYTHON=$(BIN)/python node --test --test-reporter=spec

# `make proof ALL=1`: before a release, within the hour on two cores.
ALL ?=
.PHONY: proof
proof: $(EXTENSION) $(RUST_DRIVER) ## What takes longer: mutations, long seeds, fuzzers (tests/proof); ALL=1 for more of each.
	$(if $(ALL),export STAYLINE_LONG=$${STAYLINE_LONG:-4} FUZZ_MINUTES=$${FUZZ_MINUTES:-3} FUZZ_RUNS=0 FUZZ_SEED=0;) \
	shopt -s nullglob; for proof in tests/proof/*.sh tests/proof/*.py; do \
		echo "proof: $$proof"; \
		case $$proof in *.sh) bash $$proof;; *) $(BIN)/python $$proof;; esac; done

# What strangers may write (fuzz/README.md); a C++ compiler builds libFuzzer.
MINUTES ?= 1
TARGETS ?=
SEED ?= 0
RUNS ?= 0
.PHONY: fuzz
fuzz: $(EXTENSION) ## Try what strangers may write: MINUTES=1 for each of TARGETS="frames requests …".
	@bash tests/capi/packages.sh "building the fuzzers" g++
	CARGO=$(CARGO) $(BIN)/python fuzz/run.py --minutes $(MINUTES) --runs $(RUNS) --seed $(SEED) $(TARGETS)

# --- upkeep -------------------------------------------------------------------------------------------

.PHONY: docs
docs: $(EXTENSION) ## Write docs/settings.md, docs/errors.md, docs/rules-tested.md, python/README.md, and the docstrings of the stub.
	$(CARGO) test --workspace --test documentation || $(CARGO) test --workspace --test documentation
	$(BIN)/python tests/python/stub_docs.py
	$(BIN)/python tests/house/citations.py --write
	$(BIN)/python tests/house/long_description.py

# For all targets that wheels are built for: whose code is in one of them at least.
.PHONY: third-party
third-party: ## Write python/THIRD-PARTY: whose code the wheels contain, with their licences.
	@CARGO=$(CARGO) bash ffi/third-party.sh stayline-python "A wheel of stayline" \
		$(foreach wheel,$(WHEELS),$(firstword $(subst =, ,$(wheel)))) >python/THIRD-PARTY.new
	@mv python/THIRD-PARTY.new python/THIRD-PARTY

# Every item of both headers, by noun, with links from each rule that is cited to its text.
.PHONY: manual
manual: ## Write the reference manual of the C and C++ headers (doxygen): target/manual/html/index.html.
	@bash tests/capi/packages.sh "writing the manual" doxygen
	@rm -rf target/manual && mkdir -p target
	@STAYLINE_VERSION=$$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml) PYTHON=$(PYTHON) doxygen ffi/manual/Doxyfile
	@echo "the manual is in target/manual/html/index.html"

.PHONY: pictures
pictures: $(EXTENSION) ## Take the captures and pictures of docs/cli.md anew (tmux, chromium).
	$(BIN)/python docs/pictures.py

.PHONY: format
format: $(STAMPS)/venv ## Format the Rust and Python code.
	$(CARGO) fmt --all
	$(BIN)/ruff format --config python/pyproject.toml $(PYTHON_CODE)
	$(BIN)/ruff check --fix --config python/pyproject.toml $(PYTHON_CODE)
