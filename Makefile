# What there is to do with this repository: `make help`.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

CACHE := $(or $(WEIR_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/weir)
include deploy/local/versions.env
CARGO_DENY := $(CACHE)/cargo-deny/$(CARGO_DENY_VERSION)/bin/cargo-deny

# In CI the lock file is law; a developer who changes a dependency gets it updated.
LOCKED := $(if $(CI),--locked)

# KAFKA=0 is for a machine without Java or Maven: the tests that need the broker are listed and left out.
KAFKA ?= 1
PROVISIONED := tools chdb nats $(if $(filter 0,$(KAFKA)),,kafka)
TEST_ARGS := $(if $(filter 0,$(KAFKA)),-- --skip kafka)

# $(call step,WHAT): opens a step; $(done) closes it. Between them stands its command.
step = @printf '\n==> %s\n' "$(1)"; what="$(1)"; begun=$$SECONDS; { 
done = } && printf '==> %s: done in %d s\n' "$$what" $$((SECONDS - begun)) \
	|| { code=$$?; printf '==> %s: FAILED after %d s\n' "$$what" $$((SECONDS - begun)); exit $$code; }

.PHONY: help
help: ## shows this
	@printf 'make TARGET\n\n'
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14
	@printf '\nmake run ONCE=1    prints, stops everything, and fails if what it printed is wrong\n'
	@printf 'make test KAFKA=0  leaves out the tests that need Java and Maven, and says which\n'

.PHONY: run
run: ## starts all of Weir on this machine, pushes a sample through it, and shows what came out
	$(call step,provision: libchdb and nats-server) deploy/local/provision.sh tools chdb nats; $(done)
	$(call step,build: release binaries; minutes the first time) cargo build $(LOCKED) --release --workspace --bins; $(done)
	@exec target/release/weir-local run $(if $(filter-out 0,$(ONCE)),--once)

.PHONY: test
test: ## everything that has to hold: format, lints, dependencies, all tests against the real services
	@printf 'make test: provisions, checks format, lints and dependencies, then runs every test\n'
	$(call step,provision: $(PROVISIONED)) deploy/local/provision.sh $(PROVISIONED); $(done)
	@$(MAKE) --no-print-directory lint
	$(call step,build: the binaries that the tests start) cargo build $(LOCKED) --workspace --bins --examples; $(done)
ifeq ($(KAFKA),0)
	@printf '\n==> NOT RUN, because there is no Kafka (KAFKA=0):\n'
	@cargo test $(LOCKED) --quiet --workspace --lib --bins --tests -- --list kafka 2>/dev/null | sed -n 's/: test$$//p'
endif
	$(call step,test: unit and system tests) cargo test $(LOCKED) --workspace --no-fail-fast $(TEST_ARGS); $(done)
	@printf '\nmake test: all of it holds\n'

.PHONY: lint
lint: ## format, clippy, licences, sources and the direction of dependencies
	$(call step,provision: cargo-deny; minutes the first time) deploy/local/provision.sh deny; $(done)
	$(call step,format) cargo fmt --all --check; $(done)
	$(call step,clippy: warnings are errors) cargo clippy $(LOCKED) --workspace --all-targets -- -D warnings; $(done)
	$(call step,dependencies: bans licenses sources) \
		$(CARGO_DENY) $(LOCKED) check --allow unused-wrapper bans licenses sources; $(done)

.PHONY: provision
provision: ## brings what the tests need into the cache: libchdb, nats-server, Kafka, cargo-deny
	@deploy/local/provision.sh all deny

.PHONY: soak
soak: ## breaks everything at random while events come in; SOAK_SECONDS=600 SEED=1
	$(call step,provision: libchdb nats-server and Kafka) deploy/local/provision.sh tools chdb nats kafka; $(done)
	$(call step,build: the binaries that the test starts) cargo build $(LOCKED) --workspace --bins; $(done)
	@WEIR_SOAK_SECONDS=$(or $(SOAK_SECONDS),600) $(if $(SEED),WEIR_SOAK_SEED=$(SEED)) \
		cargo test $(LOCKED) --package weir-tests --test it -- soak:: --nocapture

.PHONY: bench
bench: ## the figures of tests/bench/RESULTS.md, measured side by side on this machine
	$(call step,provision: libchdb and nats-server) deploy/local/provision.sh tools chdb nats; $(done)
	@exec tests/bench/run
