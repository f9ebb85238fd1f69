# The two commands of the README are `make demo` and `make test`. Everything lives in .venv; remove it to start anew.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
TORCH ?= torch==2.13.0
# PyTorch's own index of CPU builds: without it pip may bring gigabytes of GPU libraries to a machine with no GPU.
TORCH_CPU_INDEX ?= https://download.pytorch.org/whl/cpu
PIP := $(BIN)/python -m pip --disable-pip-version-check
WORKERS ?= 2
DEMO_ARGS ?=

.PHONY: help demo test check format setup setup-dev models test-models clean

help:
	@echo "make demo    set up everything, fetch the model, tune examples/digits and watch it live"
	@echo "make test    set up everything and run the tests"
	@echo "make check   lint and types"
	@echo "make format  let ruff tidy the code"

$(VENV)/torch.stamp: constraints.txt
	@$(PYTHON) -c 'import sys; v = sys.version_info; sys.exit(0 if v >= (3, 11) else "Luthier needs Python 3.11 or newer, but %s is %d.%d; run `make PYTHON=python3.11 demo`" % (sys.executable, v[0], v[1]))'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "venv is missing: on Debian, run: apt install python3-venv"; exit 2; }
	@echo "Installing PyTorch ..."
	@if command -v nvidia-smi >/dev/null 2>&1; then $(PIP) install -q -c constraints.txt $(TORCH); \
	elif ! $(PIP) install -q --retries 0 --timeout 15 --index-url $(TORCH_CPU_INDEX) --no-deps $(TORCH) 2>/dev/null; then \
		echo "  (PyTorch's CPU index did not answer; asking pip's usual index)"; $(PIP) install -q -c constraints.txt $(TORCH); fi
	@touch $@

$(VENV)/setup.stamp: $(VENV)/torch.stamp pyproject.toml
	@echo "Installing Luthier ..."
	@$(PIP) install -q -c constraints.txt -e '.[embedded]'
	@touch $@

$(VENV)/dev.stamp: $(VENV)/setup.stamp
	@echo "Installing the tools for tests ..."
	@$(PIP) install -q -c constraints.txt -e '.[embedded,openai,index,benchmarks,dev]'
	@touch $@

setup: $(VENV)/setup.stamp
setup-dev: $(VENV)/dev.stamp

models: setup
	@$(BIN)/luthier models pull qwen2.5-coder-1.5b

test-models: setup-dev
	@$(BIN)/luthier models pull smollm2-135m
	@$(BIN)/luthier models pull minilm-l6

demo: setup models
	@$(BIN)/luthier tune examples/digits/study.yaml --trials 10 --confirm 5 --new $(DEMO_ARGS)

test: setup-dev test-models
	@$(BIN)/pytest -n $(WORKERS) --dist loadgroup

check: setup-dev
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

format: setup-dev
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

clean:
	rm -rf $(VENV) build dist *.egg-info
