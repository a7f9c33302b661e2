# Every command of this house. `make` alone lists them; CI runs `.ci/run`, which calls them.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# One feature set for every build: another choice of packages would compile the dependencies a second time. The benches
# with their rivals and the fuzz targets stay outside it.
PACKAGES := --workspace --exclude cpc-bench --exclude cpc-fuzz
# cargo with our flags, our target directory and our RocksDB.
CARGO := . .ci/env && cargo

# The bugs that are planted on purpose, all in one build that nothing else uses.
CANARIES := cpc-kernels/canary,cpc-ledger/canary,cpc-mempool/canary,cpc-store/canary
# Eight of them, one test each, and two tests that find nothing where nothing is planted. Without this number a name that
# no test has any more would make `make canaries` pass by running nothing.
CANARY_TESTS := 10

# The parts of `make check` share cargo's lock: side by side they would only wait for each other.
.NOTPARALLEL:

.PHONY: help
help: ## lists these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-20s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: setup
setup: ## installs what is missing: system packages, the toolchain, RocksDB's archive
	@.ci/setup

.PHONY: build
build: setup ## builds the binary, and leaves a link to it in target/bin
	@$(CARGO) build $(PACKAGES) --bins --locked
	@. .ci/env && mkdir -p target/bin && ln -sfn "$$CARGO_TARGET_DIR/debug/cpc" target/bin/cpc

.PHONY: devnet
devnet: build ## builds and runs a network of your own on this machine; Ctrl-C stops it
	@exec target/bin/cpc devnet $(args)

.PHONY: test
test: build ## runs every test
	@$(CARGO) test $(PACKAGES) --locked
	@$(MAKE) --no-print-directory canaries

.PHONY: canaries
canaries: setup ## plants bugs, and demands that the tests find them
	@$(CARGO) test $(PACKAGES) --locked --features $(CANARIES) --test canary --test it -- is_found | \
		awk '{ print; fflush() } /^test result: / { ran += $$4 } END { if (ran != $(CANARY_TESTS)) { \
		print "canaries: " ran + 0 " tests ran, not $(CANARY_TESTS)" >"/dev/stderr"; exit 1 } }'

.PHONY: test-long
test-long: build ## runs every test with the counts that take too long for every change
	@export CPC_LONG=1; $(CARGO) test $(PACKAGES) --locked
	@export CPC_LONG=1; $(MAKE) --no-print-directory canaries

.PHONY: sim
sim: build ## runs whole validators in seeded worlds: SEEDS=n of them, from seed FIRST=m
	@$(CARGO) build $(PACKAGES) --bins --locked
	@. .ci/env && exec "$$CARGO_TARGET_DIR/debug/cpc-sim" $(or $(FIRST),0) $(or $(SEEDS),100)

.PHONY: check
check: setup fmt clippy doc tidy deny ## format, lints, documentation, architecture, licences: what CI demands beside the tests

.PHONY: fmt
fmt: ## says what is not formatted
	@$(CARGO) fmt --all --check

.PHONY: clippy
clippy: ## says what the lints object to
	@$(CARGO) clippy $(PACKAGES) --all-targets --locked -- -D warnings

.PHONY: doc
doc: ## builds the documentation of the code, and denies its warnings
	@export RUSTDOCFLAGS="-D warnings"; $(CARGO) doc $(PACKAGES) --no-deps --locked

.PHONY: tidy
tidy: ## holds the house to its architecture, its spec and its style
	@$(CARGO) test $(PACKAGES) --locked --test tidy

.PHONY: deny
deny: ## holds the dependencies to deny.toml
	@. .ci/env && .ci/deny

.PHONY: bench
bench: setup ## measures, beside the rivals
	@$(CARGO) run --release --locked -p cpc-bench --bin cpc-bench -- $(args)

.PHONY: bench-network
bench-network: setup ## measures networks of one validator and of four over HTTP, beside anvil
	@$(CARGO) build --release --locked -p cpc --bin cpc
	@$(CARGO) build --release --locked -p cpc-bench --bin bench-network
	@. .ci/env && exec "$$CARGO_TARGET_DIR/release/bench-network" --cpc "$$CARGO_TARGET_DIR/release/cpc" \
		--anvil "$$(.ci/anvil)" $(args)

.PHONY: fuzz
fuzz: setup ## fuzzes every target for ten seconds, or seconds=N, and demands that a planted bug is found
	@. .ci/env && export CPC_CACHE="$$CARGO_TARGET_DIR-fuzz" && tests/fuzz/run $(or $(seconds),10)

.PHONY: vectors-regenerate
vectors-regenerate: setup ## writes the golden files anew; adr=NNNN names the decision that changed them
	@[ -n "$(adr)" ] || { echo "say which decision changes the bytes: make vectors-regenerate adr=0006" >&2; exit 2; }
	@ls docs/adr/$(adr)-*.md >/dev/null 2>&1 || { echo "there is no docs/adr/$(adr)-*.md" >&2; exit 2; }
	@export CPC_VECTORS_REGENERATE=adr-$(adr); $(CARGO) test $(PACKAGES) --locked

.PHONY: clean
clean: ## removes what was built from this checkout; the caches of other checkouts and RocksDB's archive stay
	@. .ci/env && rm -rf "$$CARGO_TARGET_DIR" "$$CARGO_TARGET_DIR-fuzz" target
