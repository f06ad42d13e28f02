# make app     install, index data/sample, open the chat on http://127.0.0.1:7860
# make ask     the same in the terminal: make ask Q="How many visitors came in 2022?"
# make test    install, then lint and run every test
# make lock    compile requirements.txt from requirements.in (needs uv)

PYTHON ?= python3
INDEX ?= index
SOURCES ?= data/sample
BIN := .venv/bin

.PHONY: install app index ask test lock

install: .venv/installed

.venv/installed: requirements.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Folio needs Python 3.11 or newer; name it: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on -r requirements.txt
	@touch $@

index: install
	@$(BIN)/python -m indexing $(SOURCES) --index $(INDEX); status=$$?; [ $$status -eq 3 ] || exit $$status

app: index
	@$(BIN)/python app.py --index $(INDEX)

ask: index
	@$(BIN)/python -m rag ask "$(Q)" --index $(INDEX)

test: install
	$(BIN)/ruff check .
	$(BIN)/python -m pytest

# Pins stay where the ranges allow it; `make lock UPGRADE=--upgrade` takes the newest. torch's CUDA packages are left out:
# where its wheel needs them, pip takes the ones that torch itself pins.
lock:
	cp requirements.txt requirements.lock
	uv pip compile requirements.in --universal --python-version 3.11 --no-header --no-annotate --quiet $(UPGRADE) -o requirements.lock
	{ echo "# The exact lock of requirements.in, made by \`make lock\`."; grep -Ev '^(nvidia-|cuda-|triton|#)' requirements.lock; } > requirements.txt
	rm requirements.lock
