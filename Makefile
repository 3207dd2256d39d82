# SPDX-License-Identifier: Apache-2.0
# The front door. All work is Meson's; each target here says in a line what it is for.
B      := build
DEV    := $(B)/meson
SETUP  := @scripts/configure.sh
DESTDIR ?=
prefix  ?= /usr/local
FUZZ_SECONDS ?= 60

# Where a debugger, a shell or a service manager set one, it must not leak into the tests.
unexport PORTOLAN_SOCKET PORTOLAN_TRACE
export ASAN_OPTIONS  := strict_string_checks=1:detect_stack_use_after_return=1:abort_on_error=1
export UBSAN_OPTIONS := print_stacktrace=1:halt_on_error=1
export TSAN_OPTIONS  := halt_on_error=1:second_deadlock_stack=1
# Sanitizers of this age want the old, smaller randomisation of addresses.
FIXED := $(shell setarch -R true 2>/dev/null && echo setarch -R)

# Runs suites of a build folder and ends with `N passed, N failed`: $(call suites,FOLDER,ARGUMENTS,NAMES FILE)
suites = @status=0; $(FIXED_FOR) meson test -C $(1) --print-errorlogs $(2) || status=1; \
         python3 scripts/test-names.py $(1)/meson-logs/testlog.json $(3) || status=1; exit $$status

help:
	@echo "make TARGET, where TARGET is one of"
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

build: ## the library, portoland and portolan, in build/
	$(SETUP) $(DEV) -Dprefix=$(prefix)
	@ninja -C $(DEV)
	@ln -sfn meson/src/cmd/portolan $(B)/portolan
	@ln -sfn meson/src/server/portoland $(B)/portoland

run: build ## build, then the tour: what ports, rights and messages do, in a minute
	@PORTOLAND=$(CURDIR)/$(B)/portoland $(B)/portolan tour

test: build ## every quick test (some minutes); names of what passed in build/test-names.txt
	$(call suites,$(DEV),--no-suite model-deep,$(B)/test-names.txt)

asan: FIXED_FOR = $(FIXED)
asan: ## unit, api, process and corpus tests under AddressSanitizer and UBSan
	@CC=clang scripts/configure.sh $(B)/asan -Db_sanitize=address,undefined -Db_lundef=false
	@ninja -C $(B)/asan
	$(call suites,$(B)/asan,--suite unit --suite threads --suite api --suite process \
	        --suite harness --suite fuzz-replay)

ubsan-in-asan: asan ## the same as asan: UBSan is part of it

tsan: FIXED_FOR = $(FIXED)
tsan: ## unit and thread tests under ThreadSanitizer
	@CC=clang scripts/configure.sh $(B)/tsan -Db_sanitize=thread -Db_lundef=false
	@ninja -C $(B)/tsan
	$(call suites,$(B)/tsan,--suite tsan-able)

fuzz: ## each fuzz target for FUZZ_SECONDS (60); new inputs in build/fuzz/corpus
	@CC=clang scripts/configure.sh $(B)/fuzz -Dfuzz=true -Db_sanitize=address,undefined -Db_lundef=false
	@ninja -C $(B)/fuzz
	@FUZZ_SECONDS=$(FUZZ_SECONDS) $(FIXED) scripts/fuzz.sh $(B)/fuzz

coverage: ## which branches of what reads others' bytes the tests reach, by file (clang, llvm)
	@scripts/need.sh coverage
	@CC=clang scripts/configure.sh $(B)/coverage -Dcoverage=true -Db_ndebug=true -Db_lundef=false
	@scripts/coverage.sh $(B)/coverage

model: build ## every schedule, deeply, and every Spin model (long)
	$(call suites,$(DEV),--suite model --suite model-deep)

bench: build ## latency, throughput and CPU time beside each other
	@PORTOLAND=$(CURDIR)/$(B)/portoland $(B)/portolan bench

cross: ## unit tests on aarch64 and armhf, under qemu
	@scripts/need.sh cross
	@set -e; for arch in aarch64 armhf; do \
	        scripts/configure.sh $(B)/cross-$$arch --cross-file scripts/cross/$$arch.ini; \
	        ninja -C $(B)/cross-$$arch; \
	        meson test -C $(B)/cross-$$arch --suite unit --print-errorlogs || status=1; \
	        echo "$$arch:"; \
	        python3 scripts/test-names.py $(B)/cross-$$arch/meson-logs/testlog.json || status=1; \
	done; exit $${status:-0}

kernel: build ## unit, API and process tests on the kernel of Debian 12 (6.1), under qemu
	@scripts/need.sh kernel
	@scripts/kernel.sh $(DEV) $(B)/kernel

install: build ## into DESTDIR and prefix (/usr/local)
	@meson configure $(DEV) -Dprefix=$(prefix)
	@DESTDIR=$(DESTDIR) meson install -C $(DEV)

check: ## what must pass before a commit: test, asan, tsan
	@$(MAKE) --no-print-directory test
	@$(MAKE) --no-print-directory asan
	@$(MAKE) --no-print-directory tsan

lint: build ## layers, atomics, licences, lengths, lists, exported symbols
	$(call suites,$(DEV),--suite lint)

format: ## clang-format over all C files
	@find src include tests -name '*.[ch]' -print0 | xargs -0 clang-format -i

clean: ## remove build/
	@rm -rf $(B)

dist: build ## a source archive in build/meson/meson-dist
	@meson dist -C $(DEV) --no-tests --formats gztar --allow-dirty

.PHONY: help build run test asan ubsan-in-asan tsan fuzz coverage model bench cross kernel install check lint format clean dist
