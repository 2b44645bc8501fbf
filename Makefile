# make run    start everything and show the address of the live picture
# make test   lint, type check and all tests, on a real Kafka and the real MongoDB wire protocol
# make bench  throughput, latency and memory, beside a one-frame-at-a-time loop
# make lock   write requirements/*.txt anew from pyproject.toml

.PHONY: run test lint bench sample lock clean
.DEFAULT_GOAL := run

VENV := .venv
BIN := $(VENV)/bin
# The newest Python of 3.11 or later among those installed; PYTHON=... overrides it.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$p; break; }; done)

run: $(VENV)/run.done
	@$(BIN)/framewatch up videos/sample.mp4 --loop $(ARGS)

test: $(VENV)/test.done lint
	@sh scripts/install_test_tools.sh
	$(BIN)/python -W error -m pytest -n 3 --dist loadgroup --no-loadscope-reorder $(ARGS)

lint: $(VENV)/test.done
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/mypy tests benchmarks scripts

bench: $(VENV)/test.done
	$(BIN)/python -m benchmarks $(ARGS)

sample: $(VENV)/test.done
	$(BIN)/python scripts/make_sample_video.py

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "framewatch: needs Python 3.11 or later; found $$(python3 --version 2>&1)"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -r $(VENV); \
	  echo "framewatch: $(PYTHON) cannot make a virtual environment (on Debian: apt install python3-venv)"; exit 1; }

$(VENV)/run.done: requirements/run.txt pyproject.toml | $(VENV)/bin/python
	@$(call install,requirements/run.txt)
	@touch $@

$(VENV)/test.done: requirements/test.txt pyproject.toml | $(VENV)/bin/python
	@$(call install,requirements/test.txt)
	@touch $@ $(VENV)/run.done

# $(call install,FILE): exactly the locked packages, each checked against its hash, and the package where it stands.
define install
$(BIN)/python scripts/install.py $(1)
endef

COMPILE := uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --quiet

lock:
	$(COMPILE) --extra up --group build -o requirements/run.txt
	$(COMPILE) --extra s3 --extra serve --group build -c requirements/run.txt -o requirements/image.txt
	$(COMPILE) -c requirements/run.txt -o requirements/produce.txt
	$(COMPILE) --extra test --group build -c requirements/run.txt -o requirements/test.txt
	$(COMPILE) --extra training --group build -c requirements/run.txt -o requirements/training.txt

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
