# SPDX-License-Identifier: MIT
# The front door. The build itself is CMake's: see CMakeLists.txt.
BUILD := build
JOBS := $(shell nproc 2>/dev/null || echo 2)
TOOLS := gcc cmake make
LIBRARIES := libc6-dev zlib1g-dev libarchive-dev
LUA := lua5.4 liblua5.4-dev lua-argparse lua-dkjson
TESTS := lua-busted
COVERAGE := gcovr
PEERS := libmimalloc2.0 libjemalloc2 libtcmalloc-minimal4
FUZZERS := $(patsubst spec/fuzz/%_fuzz.c,%,$(wildcard spec/fuzz/*_fuzz.c))
FUZZ_SECONDS := 60

MAKEFLAGS += --no-print-directory

.PHONY: help deps build demo test mutation cov fuzz bench bench-build clean

help: ## Lists these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-11s %s\n", $$1, $$2 }' Makefile

deps: ## Installs the Debian packages that are missing, if any
	@PACKAGES="$(TOOLS) $(LIBRARIES) $(LUA) $(TESTS)" sh .cmake/deps.sh

build: ## Builds the command, the Lua module and the C libraries in build/
	@cmake -S . -B $(BUILD) >/dev/null
	@cmake --build $(BUILD) --parallel $(JOBS)

demo: deps build ## Records the C compiler at work and compares every policy on it
	@sh .cmake/demo.sh $(BUILD)

test: deps build ## Builds and runs every test
	@ctest --test-dir $(BUILD) --parallel $(JOBS) --output-on-failure

mutation: deps ## Breaks the source in each way of spec/mutation and shows which test notices; takes long
	@lua5.4 spec/mutation/run.lua

cov: ## Prints the core's line and branch coverage, writes HTML to build-cov/
	@PACKAGES="$(TOOLS) $(LIBRARIES) $(LUA) $(TESTS) $(COVERAGE)" sh .cmake/deps.sh
	@sh .cmake/coverage.sh build-cov $(JOBS)

fuzz: ## Runs every fuzzer for FUZZ_SECONDS (60) each, two at a time
	@PACKAGES="$(TOOLS) $(LIBRARIES) $(LUA) clang" sh .cmake/deps.sh
	@printf '%s\n' $(FUZZERS) | xargs -P 2 -I NAME sh .cmake/fuzz.sh NAME $(FUZZ_SECONDS)

bench-build: ## Builds the benches, build/heapwright-bench and build/heapwright-lua-bench
	@cmake -S . -B $(BUILD) >/dev/null
	@cmake --build $(BUILD) --parallel $(JOBS) --target bench

bench: ## Times policies and Lua programs beside other allocators (installs these)
	@PACKAGES="$(TOOLS) $(LIBRARIES) $(LUA) $(PEERS)" sh .cmake/deps.sh
	@$(MAKE) bench-build
	@$(BUILD)/heapwright-bench
	@$(BUILD)/heapwright-lua-bench
	@LUA_CPATH='$(BUILD)/?.so' lua5.4 spec/bench/calls.lua

clean: ## Removes what was built
	rm -rf build build-*
