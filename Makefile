# Everything a machine lacks is installed on the way; see scripts/setup.
.DEFAULT_GOAL := help
.PHONY: help demo test test-cluster check fix fuzz bench bench-cluster clean

help: ## List the targets.
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

demo: ## Play the tutorial in a small internet of its own: denied, let out by a rule, denied again.
	@scripts/setup demo
	@.venv/bin/exitway demo

test: ## Run the tests inside the lab, against a real Envoy and a real kernel. ARGS="-k name" chooses.
	@scripts/setup test
	PATH="$(CURDIR)/.venv/bin:$$PATH" .venv/bin/exitway lab -- .venv/bin/pytest --ignore=tests/cluster $(ARGS)

test-cluster: ## Run the tests in a real Kubernetes, which is built at first (ten minutes) and then kept. Needs root. ARGS="-k name" chooses.
	@scripts/setup test-cluster
	.venv/bin/pytest tests/cluster -m cluster $(ARGS)

check: ## Format, lint, types, import rules, generated pages.
	@scripts/setup check
	.venv/bin/ruff format --check
	.venv/bin/ruff check
	.venv/bin/mypy
	.venv/bin/lint-imports
	.venv/bin/python scripts/update-docs --check

fix: ## Format, mend what ruff can mend, write the generated pages.
	@scripts/setup check
	.venv/bin/ruff format
	.venv/bin/ruff check --fix
	.venv/bin/python scripts/update-docs

fuzz: ## Look for what breaks the readers, the API and the boundary, for SECONDS=600 each.
	@scripts/setup fuzz
	scripts/fuzz $(or $(SECONDS),600)

bench: ## Measure, and write bench/RESULTS.md (needs Squid, HAProxy and others; it installs them).
	@scripts/setup test
	bench/setup
	.venv/bin/python bench/run.py $(ARGS)

bench-cluster: ## Measure the control plane with 1,000 simulated proxies, and pods in a real Kubernetes (needs root); write bench/cluster/*.md.
	@scripts/setup test
	bench/setup
	.venv/bin/python bench/cluster/control_plane.py
	@scripts/setup test-cluster
	.venv/bin/python -m bench.cluster.pods

clean: ## Remove what the targets made here.
	rm -rf .venv .venv-uv dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .fuzz .import_linter_cache
