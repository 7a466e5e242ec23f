# Builds the library and the server, plays the demo, runs the tests.
#
#   make lib          builds what ships: build/include/tim.h, build/lib/libtim.so and libtim.a,
#                     build/bin/tim-server
#   make demo         plays logins and the life of a session, from a quick build in build/demo
#   make test         runs all tests; installs the tools that are missing (NO_INSTALL=1: lists them)
#   make test-bindings runs every binding in its language; installs what is missing, too
#   make check-platforms type-checks the library for every target of docs/platforms.md
#   make test-platforms tests each of them as far as it can be tested here: the C tests and the demo on Windows,
#                     aarch64 and musl; installs as test-bindings
#   make test-long    kills the server, fills its disk and fails its store over, 200 times each
#                     (TIM_ROUNDS); a million random calls of the library, 10,000 forks, 10,000 logins
#   make fuzz         fuzzes every parser for FUZZ_SECONDS each (60); needs nightly and cargo-fuzz
#   make mutations    puts old bugs back into a copy of the source: the model must find each
#   make bench        measures the library
#   make bench-bindings measures the delivery of events in every runtime; installs as test-bindings
#   make bench-server measures the server, beside nginx
#   make header       generates include/tim.h and docs/errors.md
#   make install      installs into PREFIX (/usr/local), with files for pkg-config and CMake; honours DESTDIR
#   make dist         packs the same: build/dist/libtim-VERSION-SYSTEM.tar.gz
#   make dist-platforms packs the libraries of test-platforms, too
#   make semver       compares the Rust API with that of SINCE, a tag or commit; by cargo-semver-checks, which it installs
#   make abi-baseline freezes the current header as the one that later libraries must serve
#   make wheel        builds the Python package with the library: build/python/timlogin-*.whl
#   make clean

CARGO ?= cargo
CC ?= cc
PREFIX ?= /usr/local
FUZZ_SECONDS ?= 60
PLATFORMS ?= $(filter-out $(shell rustc -vV | sed -n 's/^host: //p'),$(shell sed -n 's/^\([a-z].*\) run$$/\1/p' platforms/targets))
FUZZ_TARGETS ?= ticket http_body configuration event_stream

ABI := $(shell sed -n 's/^const ABI_VERSION: u32 = \(.*\);/\1/p' build.rs)
TARGET := $(or $(CARGO_TARGET_DIR),target)
SONAME := libtim.so.$(ABI)

# What ships names no folder of the machine that built it.
CARGO_HOME_DIR := $(or $(CARGO_HOME),$(HOME)/.cargo)
SYSROOT := $(shell rustc --print sysroot)
REMAP = printf -- '--remap-path-prefix=%s\037--remap-path-prefix=%s\037--remap-path-prefix=%s' \
	'$(CARGO_HOME_DIR)=/cargo' '$(SYSROOT)=/rust' '$(CURDIR)=/tim'
RELEASE = CARGO_ENCODED_RUSTFLAGS="$$($(REMAP))" \
	CFLAGS="$(CFLAGS) -ffile-prefix-map=$(CARGO_HOME_DIR)=/cargo -ffile-prefix-map=$(CURDIR)=/tim" $(CARGO)

.PHONY: lib server demo wheel tools test test-bindings check-platforms test-platforms test-long fuzz mutations bench bench-bindings bench-server header install dist dist-platforms clean abi-baseline semver
.DEFAULT_GOAL := lib

# An rlib in the list of crate types would switch LTO off without a word, so the list is given.
lib: server
	@$(RELEASE) rustc --release -p tim --lib --crate-type cdylib,staticlib
	@mkdir -p build/include build/lib
	@cp include/tim.h include/tim.hpp build/include/
	@cp $(TARGET)/release/libtim.so build/lib/$(SONAME)
	@ln -sf $(SONAME) build/lib/libtim.so
	@cp $(TARGET)/release/libtim.a build/lib/

server:
	@$(RELEASE) build --profile server -p tim-server
	@mkdir -p build/bin
	@install -m 755 $(TARGET)/server/tim-server build/bin/tim-server.new
	@mv build/bin/tim-server.new build/bin/tim-server # not over the file of a server that runs

# Without LTO, as the tests build it too: a minute or two instead of ten.
demo:
	@$(CARGO) build -p tim -p tim-server
	@mkdir -p build/demo/include build/demo/lib build/demo/bin
	@cp include/tim.h build/demo/include/
	@cp $(TARGET)/debug/libtim.so build/demo/lib/$(SONAME)
	@ln -sf $(SONAME) build/demo/lib/libtim.so
	@install -m 755 $(TARGET)/debug/tim-server build/demo/bin/
	@CC="$(CC)" sh examples/c/demo.sh build/demo

wheel: lib
	@bindings/python/build-wheel build build/python

tools:
	@tests/tools

test: tools
	@$(MAKE) --no-print-directory lib
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- -D warnings
	$(CARGO) check -p tim --lib --no-default-features
	$(CARGO) build --workspace
	TIM_BUILD_DIR="$(CURDIR)/build" $(CARGO) test --workspace --no-fail-fast
	RUSTFLAGS="--cfg tim_shuttle" $(CARGO) test -p tim --lib --target-dir $(TARGET)/shuttle shuttle
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items

test-bindings:
	@tests/tools bindings
	@$(MAKE) --no-print-directory lib
	@bindings/run build

check-platforms:
	@platforms/check

# Windows under Wine, aarch64 under qemu.
test-platforms:
	@tests/tools platforms
	@platforms/run

test-long: lib
	$(CARGO) test -p tim-server --test kills --test full_disk --test fail_over -- --ignored --nocapture
	TIM_BUILD_DIR="$(CURDIR)/build" $(CARGO) test -p tim --test torture -- --ignored --nocapture
	TIM_BUILD_DIR="$(CURDIR)/build" TIM_CYCLES=10000 TIM_FORKS=10000 \
		$(CARGO) test -p tim --test c_programs -- shared::forks alone

# What is found stays in fuzz/corpus and fuzz/artifacts. There is no unsafe code in what is fuzzed.
fuzz:
	@for target in $(FUZZ_TARGETS); do \
		mkdir -p fuzz/corpus/$$target; \
		$(CARGO) +nightly fuzz run --sanitizer none $$target fuzz/corpus/$$target fuzz/seeds/$$target -- \
			-max_total_time=$(FUZZ_SECONDS) || exit 1; \
	done

mutations:
	model/mutations/run

bench: lib
	TIM_BUILD_DIR="$(CURDIR)/build" CC="$(CC)" benches/run

bench-bindings:
	@tests/tools bindings
	@$(MAKE) --no-print-directory lib
	@CC="$(CC)" bindings/bench/run build

bench-server: server
	$(CARGO) build --profile server -p tim-load
	TIM_BUILD_DIR="$(CURDIR)/build" TIM_LOAD="$(CURDIR)/$(TARGET)/server/tim-load" benches/server

# The build script writes both wherever they differ from what they are made of.
header:
	touch build.rs
	$(CARGO) check -p tim --lib

semver:
	@$(CARGO) semver-checks --version >/dev/null 2>&1 || $(CARGO) install --locked cargo-semver-checks
	$(CARGO) semver-checks -p tim --baseline-rev $(or $(SINCE),HEAD)

abi-baseline: lib
	cp include/tim.h abi/baseline/tim.h
	grep -v "^#" abi/symbols.txt > abi/baseline/symbols.txt

install: lib
	@packaging/install build "$(DESTDIR)$(PREFIX)"

dist: lib
	@packaging/dist build build/dist

dist-platforms:
	@tests/tools platforms
	@for target in $(PLATFORMS); do \
		platforms/build $$target && packaging/dist build/platforms/$$target build/dist $$target || exit 1; \
	done

clean:
	$(CARGO) clean
	rm -rf build
