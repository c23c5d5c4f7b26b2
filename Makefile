# Gatepost's daily commands. `make help` lists them from their one-line comments.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help run test test-one check format certs bench bench-gates fuzz requirements model oracle test-asan test-tsan coverage clean install-agent package

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## the whole demo on this machine: gateway, agent, provider, emulator, applications
	@scripts/run

test: ## install what is missing, build, run every suite
	@scripts/test

test-one: ## run the tests whose name matches: make test-one NAME=pattern
	@test -n "$(NAME)" || { echo 'make test-one NAME=pattern, for example NAME=RequestHead'; exit 2; }
	@scripts/test --filter "$(NAME)"

check: ## formatting, warnings as errors, architecture rules, shell scripts
	@scripts/check

format: ## lay out all Swift files with swift format
	@swift format --in-place --recursive --parallel Package.swift Sources Tests
	@echo "formatted; next: make check"

certs: ## make the development certificates in .run/certs
	@certs/generate.sh .run/certs

bench: ## compare with nginx: CPU per request and latency (minutes)
	@scripts/bootstrap build bench && loadtest/run

bench-gates: ## count system calls and instructions per request against the stored thresholds
	@scripts/bootstrap build bench && loadtest/gates

fuzz: ## feed every reader of outside bytes with generated input: FUZZ_SECONDS=600 each, two at a time
	@scripts/fuzz

requirements: ## which requirement rows have a passing test in the last make test
	@scripts/requirements

model: ## 5,000 stories of sessions against their model (quarter of an hour)
	@GATEPOST_MODEL_SEEDS=$${GATEPOST_MODEL_SEEDS:-5000} scripts/test --filter SessionModelTests

oracle: ## decide a million random cases as a naive reading of the rules does, built with optimisation (a minute or two)
	@scripts/oracle

test-asan: ## the module suites and the simulation under the address sanitizer
	@scripts/test --modules --sanitize address

test-tsan: ## the module suites and the simulation under the thread sanitizer
	@scripts/test --modules --sanitize thread

coverage: ## how much of the deciding code its own suite covers, file by file
	@scripts/coverage

install-agent: ## install the posture agent and its systemd units; DESTDIR= for packagers
	@scripts/install-agent $(PROGRAM)

package: ## make Debian packages of gateway and agent in .build/packages; PROGRAMS= a folder of built ones
	@scripts/package $(if $(PROGRAMS),--programs $(PROGRAMS))

clean: ## remove what was built and the demo's state
	@rm -rf .build .build-address .build-thread .run
