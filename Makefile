# Frontdesk. `make help` lists the targets; each does all the set-up that it needs.

PYTHON ?= python3.11
DESK ?= shop
PORT ?= 8000
DATA ?= ../shared/suites
LLM ?= auto
Q ?= How long do I have to return something?

BIN := .venv/bin
READY := .venv/.ready
export UV_PYTHON_DOWNLOADS := never
export FRONTDESK_LLM := $(LLM)

.DEFAULT_GOAL := help
.PHONY: help setup serve ask test test-slow check lint types floors format lock optimise-env test-optimise secrets router-report retrieval-report guards-report figures finetune-setup finetune-test finetune-report improvement-report clean

help:  ## Show this list
	@echo "Frontdesk: a self-hosted customer-support agent"; echo
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'
	@echo; echo "  Variables: DESK=$(DESK)  PORT=$(PORT)  LLM=auto|off  Q=\"a question\"  PYTHON=$(PYTHON)"

setup: $(READY)  ## Install everything into .venv, from the lock

$(READY): requirements-dev.lock pyproject.toml
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 is needed and '$(PYTHON)' was not found: install it, or pass PYTHON=/path/to/python3.11" >&2; exit 2; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info[:2] != (3, 11))' || { echo "Python 3.11 is needed, $(PYTHON) is $$($(PYTHON) -V): pass PYTHON=/path/to/python3.11" >&2; exit 2; }
	@test "$$(df -Pk . | awk 'NR==2 {print $$4}')" -gt 2500000 || { echo "2.5 GB of free disk are needed here for the packages" >&2; exit 2; }
	@echo "[1/3] a virtual environment in .venv ($$($(PYTHON) -V))"
	@$(PYTHON) -m venv .venv
	@echo "[2/3] the locked packages (about 1.4 GB on disk; a minute or so the first time)"
	@if $(BIN)/python -m pip install -q --disable-pip-version-check uv==0.13.8 \
	  && $(BIN)/uv pip install -q --python $(BIN)/python --require-hashes -r requirements-dev.lock; then true; \
	else echo "      uv could not do it; plain pip does (slower)"; \
	  $(BIN)/python -m pip install --disable-pip-version-check --require-hashes -r requirements-dev.lock; fi
	@echo "[3/3] Frontdesk itself"
	@if test -x $(BIN)/uv; then $(BIN)/uv pip install -q --python $(BIN)/python --no-deps -e .; \
	else $(BIN)/python -m pip install -q --disable-pip-version-check --no-deps -e .; fi
	@touch $@

serve: $(READY)  ## Serve the chat page and the API at http://127.0.0.1:8000 (LLM=off: by quotation only)
	@$(BIN)/frontdesk serve --desk $(DESK) --port $(PORT)

ask: $(READY)  ## Ask one question: make ask Q="Where is my order?"
	@$(BIN)/frontdesk ask "$(Q)" --desk $(DESK)

test: $(READY)  ## Run the tests (no weights, no network, under five minutes)
	@$(BIN)/python -m pytest -m "not slow" -n auto --maxprocesses 8 --dist loadfile

test-slow: $(READY)  ## Run the slow tests: a browser, Studio, the real local model where its weights are
	@$(BIN)/python -m pytest -m slow

check: lint types floors test  ## ruff, mypy --strict, the floors of the house, the tests

lint: $(READY)
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(READY)
	@$(BIN)/mypy

floors: $(READY)
	@$(BIN)/lint-imports

format: $(READY)  ## Format the code and mend what ruff can mend
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

OPTIMISE_READY := .venv-optimise/.ready

$(OPTIMISE_READY): $(READY) pyproject.toml
	@test -d .venv-optimise || $(PYTHON) -m venv .venv-optimise
	@$(BIN)/uv pip install -q --python .venv-optimise/bin/python -e ".[local,optimise]" pytest pytest-timeout hypothesis
	@touch $@

optimise-env: $(OPTIMISE_READY)  ## An environment of its own for `frontdesk optimise`: .venv-optimise (DSPy; 0.25 GB more)

test-optimise: optimise-env  ## Test `frontdesk optimise` with the real GEPA
	@.venv-optimise/bin/python -m pytest -q tests/test_optimise.py tests/test_optimise_gepa.py

lock: $(READY)  ## Compile both locks from pyproject.toml (with hashes, without addresses)
	@$(BIN)/uv pip compile pyproject.toml --universal -p 3.11 --extra local --extra dev --generate-hashes --no-header --no-annotate -q -o requirements-dev.lock
	@$(BIN)/uv pip compile pyproject.toml --universal -p 3.11 --extra local --generate-hashes --no-header --no-annotate -q -c requirements-dev.lock -o requirements.lock

secrets:  ## Write deploy/.env with fresh secrets, once (LANGFUSE=off: without Langfuse)
	@LANGFUSE="$(LANGFUSE)" deploy/secrets.sh

router-report: $(READY)  ## Measure the router and the answer cache for docs/routing.md (PUBLIC=FOLDER, INTENTS=FILE add public data)
	@$(BIN)/python -m evals.routing_report $(if $(PUBLIC),--public $(PUBLIC)) $(if $(INTENTS),--intents $(INTENTS))

figures: $(READY)  ## Measure what docs/performance.md says, on this machine
	@$(BIN)/python -m evals.performance

.PHONY: audit image-test soak
audit: $(READY)  ## Known weaknesses, licences and a bill of materials of what ships, into build/audit/ (3: could not be looked up)
	@$(BIN)/python .ci/audit.py

image-test: $(READY)  ## Build the Dockerfile's environment from the lock and serve from it as another user (minutes)
	@$(BIN)/python -m pytest -q tests/image_build.py

soak: $(READY)  ## Half load for MINUTES=30: fails when a request does, or when memory, handles or threads grow
	@$(BIN)/python -m evals.soak $(or $(MINUTES),30)

.PHONY: bench bench-check bench-replicas
bench: $(READY)  ## Measure what the desk adds to a model call, into docs/performance.md (on a machine at rest)
	@$(BIN)/frontdesk bench --desk $(DESK) --into docs/performance.md $(if $(QUICK),--quick)

bench-check: $(READY)  ## Fail when a turn has become dearer against a bare LangGraph turn, or with more articles
	@$(BIN)/frontdesk bench --check

bench-replicas: $(READY)  ## The same as bench of two processes on Postgres, Redis and a Chroma server from their wheels
	@$(BIN)/python tests/bench_replicas.py $(if $(QUICK),--quick)

.PHONY: scale-figures queueing
scale-figures: $(READY)  ## What one turn costs and leaves behind, and a month's bill: docs/scale.md
	@$(BIN)/python -m evals.scale

queueing: $(READY)  ## A queueing model of the desk, held against a load test of it: docs/scale.md
	@$(BIN)/python -m evals.queueing

retrieval-report: $(READY)  ## Measure what docs/retrieval.md says (DATA=folder of retrieval_*.jsonl)
	@$(BIN)/python -m evals.retrieval_report --data-dir $(DATA)

guards-report: $(READY)  ## Measure every guard on ../shared/suites and write the tables of docs/guards.md (many minutes)
	@$(BIN)/python -m evals.guards_report --data-dir ../shared/suites

TUNED := .venv-finetune
TUNED_READY := $(TUNED)/.ready
BASE ?= model.gguf

# Over .venv, so that only the extra is fetched; .venv itself stays as the lock has it.
$(TUNED_READY): $(READY) pyproject.toml
	@echo "[1/2] $(TUNED) over .venv"
	@$(PYTHON) -m venv $(TUNED)
	@echo "import site; site.addsitedir('$(CURDIR)/$$(ls -d .venv/lib/python3*/site-packages)')" > $$(ls -d $(TUNED)/lib/python3*/site-packages)/frontdesk_base.pth
	@echo "[2/2] the extra finetune (1.2 GB with torch for the CPU; several with its libraries for a GPU)"
	@$(TUNED)/bin/python -m pip install -q --disable-pip-version-check -e ".[finetune]"
	@touch $@

finetune-setup: $(TUNED_READY)  ## Build .venv-finetune: what frontdesk finetune needs, beside .venv

finetune-test: $(TUNED_READY)  ## Fine-tune tiny models for real, on the CPU, in .venv-finetune
	@OMP_NUM_THREADS=1 $(TUNED)/bin/python -m pytest -m "slow or not slow" tests/test_finetune_training.py tests/test_finetune_gate.py tests/test_training_contenders.py

finetune-report: $(TUNED_READY)  ## Measure what docs/finetuning.md says (BASE=a small model, DATA=the public data)
	@OMP_NUM_THREADS=1 $(TUNED)/bin/python -m training.finetune_report --data $(dir $(DATA))data --base $(BASE) --out .frontdesk/finetune-report

IMPROVED := .frontdesk/improvement
IMPROVE := FRONTDESK_LLM_TIMEOUT=600 FRONTDESK_HOME=$(IMPROVED)/home .venv-optimise/bin/frontdesk
VARIANTS := answer_bad answer_better answer_zero_shot answer_one_shot answer_chain_of_thought answer_safety_aware
BUDGET ?= 40
MOST ?= 10
SAMPLE ?= 30
define newline


endef

# $(call once,NAME,COMMAND): what the command prints is kept as NAME.json; once it stands there, it is not measured again.
once = @{ test -s $(IMPROVED)/$(1).json || { $(2) > $(IMPROVED)/$(1).part && mv $(IMPROVED)/$(1).part $(IMPROVED)/$(1).json; }; } && cat $(IMPROVED)/$(1).json

# On a copy of the shop, so that a version that is found is registered there. Killed, it goes on where it was.
improvement-report: optimise-env  ## Measure what docs/improvement.md says (DATA=the public data; an hour of the local model)
	@mkdir -p $(IMPROVED) && { test -d $(IMPROVED)/shop || cp -r desks/shop $(IMPROVED)/shop; }
	@for learn in 12 40 120; do \
	  $(BIN)/python -m training.bank_scope --shared $(dir $(DATA))data --out $(IMPROVED)/bank-$$learn --learn $$learn --most $(MOST) || exit 1; done
	$(foreach learn,12 40 120,$(call once,examples-$(learn),$(BIN)/python -m training.by_examples --data $(IMPROVED)/bank-$(learn)/bank.jsonl --held-out $(IMPROVED)/bank-$(learn)/bank_held_out.jsonl --json)$(newline))
	$(foreach language,en vi,$(call once,fit-$(language),FRONTDESK_LLM=off $(IMPROVE) scope fit $(IMPROVED)/bank-120/in_or_out_$(language).jsonl --dry-run --desk $(IMPROVED)/shop --json)$(newline))
	$(call once,week,$(IMPROVE) improve --week --sample $(SAMPLE) $(VARIANTS:%=--prompt %) --desk $(IMPROVED)/shop --json)
	$(call once,answer,$(IMPROVE) optimise answer --budget $(BUDGET) --sample $(SAMPLE) --desk $(IMPROVED)/shop --json)
	$(call once,scope,$(IMPROVE) optimise scope --data $(IMPROVED)/bank-12/bank.jsonl --held-out $(IMPROVED)/bank-12/bank_held_out.jsonl --categories $(IMPROVED)/bank-12/categories.yaml --budget $(BUDGET) --desk $(IMPROVED)/shop --json)

RAY := .venv-ray
RAY_READY := $(RAY)/.ready

$(RAY_READY): $(READY) pyproject.toml
	@echo "[1/2] $(RAY) over .venv"
	@$(PYTHON) -m venv $(RAY)
	@echo "import site; site.addsitedir('$(CURDIR)/$$(ls -d .venv/lib/python3*/site-packages)')" > $$(ls -d $(RAY)/lib/python3*/site-packages)/frontdesk_base.pth
	@echo "[2/2] the extra ray (0.2 GB)"
	@$(RAY)/bin/python -m pip install -q --disable-pip-version-check -e ".[ray]"
	@touch $@

.PHONY: ray-env test-ray
ray-env: $(RAY_READY)  ## Build .venv-ray: what --on ray needs, beside .venv

test-ray: $(RAY_READY)  ## Spread an ingestion and an evaluation over a real local Ray of two workers
	@$(RAY)/bin/python -m pytest -q tests/ray_cluster.py

clean:  ## Remove the environment and what tools left; the desk's state in .frontdesk stays
	@rm -rf .venv .venv-finetune .venv-ray .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache .langgraph_api *.egg-info
