# One door for people and for CI. `make help` lists the targets.
SHELL := /bin/sh
CARGO ?= cargo
.DEFAULT_GOAL := help
# What `cargo clippy -- -D warnings` sets, for a build: lints and code in one go. `cargo clippy` beside a build compiles every dependency twice.
LINTED := RUSTC_WORKSPACE_WRAPPER=clippy-driver CLIPPY_ARGS=-Dwarnings__CLIPPY_HACKERY__

help: ## Lists the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | column -t -s "$$(printf '\t')"

demo: ## Builds everything and gates the shop; SHOP_DEFECT=retry-storm make demo shows a gate that says no.
	@./fixtures/shop/demo.sh

test: needs shop ## Runs every test. What needs an engine skips aloud where there is none.
	$(CARGO) fmt --all --check
	$(LINTED) $(CARGO) build --quiet --workspace --all-targets
	$(LINTED) $(CARGO) test --workspace --quiet
	$(CARGO) test --quiet --manifest-path fixtures/shop/Cargo.toml --target-dir target/shop
	./tests/regenerated.sh
	./tests/workflows.sh

test-netem: needs ## Runs the agent's packet tests over netem, in an emulated machine; minutes. See docs/netem.md.
	./tests/netem.sh

needs:
	@./tests/needs.sh

shop: ## Builds the demo shop: the static binary and, where an engine answers, the images.
	@./fixtures/shop/build.sh

build: ## Builds the release binary: target/release/shakedown.
	$(CARGO) build --release --package shakedown

bench: build shop ## Measures overhead, generator and memory; minutes; see docs/benchmarks.md.
	./tests/bench.sh

bench-faults: ## Measures faults: onset, dose, packets a second, the link beside HAProxy; as root; three minutes.
	./tests/bench-faults.sh

bench-ingest: ## Measures what receiving OTLP costs, end to end to the files; a minute after the build. SPANS=100000 for a smoke run.
	$(CARGO) run --quiet --release --package shakedown-evidence --example ingest

bench-gate: ## Measures the gate's statistics on simulated machines, and change points; five to fifteen minutes. QUICK=1 for a smoke run.
	$(CARGO) bench --quiet --package shakedown-judge --bench gate -- $(if $(QUICK),--quick)
	$(CARGO) bench --quiet --package shakedown-judge --bench change_points -- $(if $(QUICK),--quick)

bench-templates: ## Measures the mining of log templates: grouping accuracy on sixteen kinds of lines, lines a second; a minute.
	$(CARGO) bench --quiet --package shakedown-judge --bench templates

bench-culprit: ## Measures how often the right service is named, in the real shop and in simulated systems, and how fast; minutes. QUICK=1 for a smoke run.
	$(CARGO) bench --quiet --package shakedown-judge --bench culprit -- $(if $(QUICK),--quick)

record-matrix: build shop ## Records the shop's defects for bench-culprit, what is not in fixtures/runs/matrix yet; twenty minutes.
	./tests/record-matrix.py

bench-gates: build shop ## Gates the shop 45 times, against itself and against slow-downs of known size; fifty minutes.
	./tests/bench-gates.py

soak-kills: build shop ## Kills 200 runs at random moments and counts what is left; about fifteen minutes.
	./tests/kills.sh

clean-engine: ## Removes what runs left on the engine, and the cached images.
	$(CARGO) run --quiet --package shakedown -- recover
	-docker image ls --quiet --filter label=dev.shakedown.cache | xargs -r docker image rm --force

.PHONY: help demo test test-netem needs shop build bench bench-faults bench-gate bench-templates bench-culprit record-matrix bench-gates soak-kills clean-engine bench-ingest
