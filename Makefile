# All the set-up is inside: each target makes .venv/ from requirements.txt first, once.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo plan test test-slow bench settings study browser segmentation lint format clean

VENV := .venv
INSTALLED := $(VENV)/.installed
SEGMENTATION := $(VENV)/.installed-segmentation

# Jobs call "python": it must be this environment's, and nothing of the user's own may leak into it.
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export PYTHONNOUSERSITE := 1
unexport PYTHONPATH PYTHONHOME PYTHONDONTWRITEBYTECODE

# The first interpreter of at least Python 3.11 that can make an environment; 3.11 is what the lock was made with.
PYTHON ?= $(shell for python in python3.11 python3.12 python3.13 python3; do \
	"$$python" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && command -v "$$python" && break; \
	done; true)

help: ## show the targets
	@echo "usage: make TARGET"
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))

demo: $(INSTALLED) ## run the whole workflow on the demo's photographs and build the report
	@start=$$SECONDS; \
	snakemake demo --cores all --quiet host reason rules; \
	python scripts/print_minutes.py; \
	echo "demo: done in $$(((SECONDS - start) / 60)) min $$(((SECONDS - start) % 60)) s; open results/report/index.html"

plan: $(INSTALLED) ## tell what make demo would do, in images, and why
	@python scripts/plan.py --why
	@echo "plan: nothing was changed; make demo runs it"

test: lint browser segmentation ## check the style and run the tests (minutes)
	@HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 python -m pytest -m "not slow"
	@echo "test: all passed; what each of them checks is in tests/"

test-slow: $(INSTALLED) ## run the tests that take longer: every kind of change, twenty kills, a full disk
	@HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 python -m pytest -m slow
	@echo "test-slow: all passed; see tests/workflow/"

bench: $(INSTALLED) ## measure how fast plans, guides, images and shards are, beside their targets
	@python bench/bench.py --output results/bench.csv
	@echo "bench: done; the figures are in results/bench.csv"

settings: $(INSTALLED) ## compare samplers, steps and strengths on the demo: speed and quality (half an hour)
	@# Memory is handled as in the jobs of the workflow (rules/common/settings.smk), for times that hold there.
	@HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=1073741824 \
		python bench/generation_settings.py
	@echo "settings: done; see docs/speed.md"

study: $(INSTALLED) ## compare all objectives on the demo's data: an hour; its tables go to docs/study/
	@# In a folder of its own, so that the demo's results stay as they are; what was made before is taken from the store.
	@mkdir -p results/study resources && for name in config models resources; do ln -sfn "$(CURDIR)/$$name" "results/study/$$name"; done
	@snakemake study --directory results/study --configfile config/config.yaml config/study.yaml \
		--config store="$(CURDIR)/results/.store" --cores all --quiet host reason rules
	@python scripts/publish_study.py --results results/study/results --benchmarks results/study/benchmarks --output docs/study
	@echo "study: done; its tables, figures and provenance are in docs/study/"

browser: # the page that people annotate on is tested in the system's Chromium, which pip can't bring
	@for program in chromium chromium-browser google-chrome chrome; do \
		command -v "$$program" >/dev/null && exit 0; \
	done; \
	echo "set-up: installing Debian's Chromium, for the tests of the annotation page"; \
	if [[ "$$(id -u)" == 0 ]]; then as=(); else as=(sudo -n); fi; \
	"$${as[@]}" apt-get update -qq && "$${as[@]}" apt-get install --yes --quiet --no-install-recommends chromium || \
		{ echo "Chromium is missing and could not be installed: sudo apt-get install chromium, then make test again" >&2; exit 1; }

segmentation: $(SEGMENTATION) ## install what segments pictures without masks (once; 330 MB of disk)

lint: $(INSTALLED) ## check style, types and rules without running anything
	ruff check .
	ruff format --check .
	snakefmt --check Snakefile rules
	mypy
	snakemake --lint
	@echo "lint: clean; the settings are in pyproject.toml"

format: $(INSTALLED) ## put the code into its standard layout
	ruff check --fix .
	ruff format .
	snakefmt Snakefile rules
	@echo "format: done; git diff shows what changed"

clean: ## remove results, logs and caches (not .venv, not resources)
	rm -rf results logs benchmarks .snakemake .mypy_cache .pytest_cache .ruff_cache
	@echo "clean: done; make demo makes everything anew"

$(INSTALLED): requirements.txt
	@if [[ -z "$(PYTHON)" ]]; then \
		echo "No Python 3.11 or later that can make virtual environments was found." >&2; \
		echo "On Debian and Ubuntu: sudo apt-get install python3 python3-venv" >&2; \
		echo "Elsewhere, or if that brings an older one: name one with  make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)" >&2; \
		exit 1; \
	fi
	@echo "set-up: installing the pinned packages into $(VENV)/ (once; minutes, and 7 GB of disk)"
	@python -m pip --version >/dev/null 2>&1 && [[ "$$(command -v python)" == "$(CURDIR)/$(VENV)/"* ]] \
		|| "$(PYTHON)" -m venv --clear "$(VENV)"
	@# Bytecode is written for what is imported, when it is first imported: of all these files that is a fraction.
	@python -m pip install --disable-pip-version-check --no-input --no-compile -r requirements.txt
	@touch "$@"

$(SEGMENTATION): requirements-segmentation.txt $(INSTALLED)
	@echo "set-up: installing what segments pictures into $(VENV)/ (once; a minute or two)"
	@python -m pip install --disable-pip-version-check --no-input --no-compile -r requirements.txt -r requirements-segmentation.txt
	@# Its first import compiles functions for this processor, and keeps them.
	@python -c 'import rembg'
	@touch "$@"
