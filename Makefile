# SPDX-License-Identifier: Apache-2.0
# One command for each thing a developer does; bare `make` lists them. Everything runs from .venv, made on first use.

.DEFAULT_GOAL := help
.PHONY: bytecode help run check test chance deb test-deb deb-twice sbom image image-test mutations lint conformance benchmark setup hardware lock screenshots clean

BIN := .venv/bin
BOARD ?= pc
JOBS ?= 5
UV ?= uv
LOCKS := packaging/locks
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" $(if $(UPGRADE),--upgrade)

help: # read from the comments below
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

run: $(if $(WIRE),hardware,setup) ## a simulated charging station (ONCE=1: one charge; PROFILE=1, 2, 3: security; WIRE=1: real drivers)
	$(BIN)/python -m tools.demo $(if $(ONCE),--once) $(if $(PROFILE),--profile $(PROFILE)) $(if $(WIRE),--wire)

check: lint bytecode ## lint and the fast tests, for each change of a line: under 3 minutes on two idle cores
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not slow" tests/unit

test: lint bytecode ## lint, then every test but mutations, chance and container (JOBS=5 at a time: most wait for something)
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "not mutation and not chance and not container and not image"

deb: hardware ## the Debian packages in build/, for amd64 and arm64
	$(BIN)/python -m tools.package.deb

test-deb: hardware ## this machine's package in a booted Debian, from installation to purge (needs root; 4 minutes, the first time 6)
	$(BIN)/python -m tools.package.container
	$(BIN)/python -m tools.package.deb --compression zstd --output build/test-deb native
	$(BIN)/python -m pytest -m "container and not slow" tests/packaging

deb-twice: hardware ## whether both packages have the same bytes when they are built twice, from nothing (10 minutes)
	$(BIN)/python -m pytest -m container tests/packaging/test_same_bytes.py

image: hardware ## a board's disk image and its update bundle in build/ (BOARD=pc, arm64 or cm4; OPTIONS="--key ..."; needs root)
	$(BIN)/python -m tools.disk_image $(BOARD) $(OPTIONS)

image-test: image ## the image in an emulated board: first start, session, update, ways back (BOARD=pc or cm4; needs root; slow)
	$(BIN)/python -m pytest -m image tests/image/$(BOARD)

sbom: hardware ## what a station's program is made of, in build/ (CycloneDX)
	$(BIN)/python -m tools.package.sbom

chance: hardware ## devices unplugged at random moments of a session (BAYWATT_SEED repeats one)
	$(BIN)/python -m pytest -n 2 -m chance tests/scenario

mutations: setup ## small faults in a copy of the station, each of which must turn its conformance case red
	$(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m mutation tests/conformance

bytecode: setup # as a package has it: tests and benchmark start hundreds of processes, also where PYTHONDONTWRITEBYTECODE is set
	@$(BIN)/python -m compileall -q firmware hal drivers services tools tests

lint: hardware ## style, format, types, who may import whom
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

conformance: setup ## the test cases of OCPP 2.0.1 part 6; reports in build/conformance
	$(BIN)/baywatt conformance --report build/conformance

benchmark: hardware bytecode ## measured times, memory and CPU beside their goals (JSON=file; GROWTH=1: how the cost grows)
	$(BIN)/python -m tools.benchmark $(if $(JSON),--json $(JSON)) $(if $(GROWTH),--growth)

setup: ## .venv with the locked libraries (every verb above does this first)
	@sh tools/setup.sh

hardware: ## .venv with the libraries of real devices and of browser tests too, and the packages that tests need (lint and test do this)
	@sh tools/setup.sh hardware

lock: ## packaging/locks/ from pyproject.toml (needs uv; UPGRADE=1 takes the newest versions)
	$(COMPILE) --group build --output-file $(LOCKS)/build.txt
	$(COMPILE) pyproject.toml --extra bench --group build -c $(LOCKS)/build.txt --output-file $(LOCKS)/bench.txt
	$(COMPILE) pyproject.toml --extra hardware -c $(LOCKS)/bench.txt --output-file $(LOCKS)/device.txt
	$(COMPILE) pyproject.toml --extra browser -c $(LOCKS)/bench.txt --output-file $(LOCKS)/browser.txt
	$(COMPILE) pyproject.toml --extra fleet -c $(LOCKS)/bench.txt -c $(LOCKS)/device.txt -c $(LOCKS)/browser.txt --output-file $(LOCKS)/fleet.txt

screenshots: hardware ## the pictures of the pages in docs/images, from a station that runs (ONLY="names"; needs pngquant)
	$(BIN)/python -m tools.generate.screenshots $(ONLY)

clean: ## remove everything the verbs above made, .venv too
	rm -rf .venv .run build report baywatt.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
