# make app     install, index data/sample, open the chat on http://127.0.0.1:7860
# make ask     the same in the terminal: make ask Q="How many visitors came in 2022?"
# make test    install, then lint and run every test
# make bench-systems   install, then measure the systems of docs/systems.md: make bench-systems DATA=folder of questions
# make wheel   build dist/folio_rag-*.whl, which `pip install` takes with the ranges of requirements.in
# make lock    compile requirements.txt and requirements-systems.txt from the .in files (needs uv)

PYTHON ?= python3
INDEX ?= index
SOURCES ?= data/sample
BIN := .venv/bin

.PHONY: install systems app index ask test bench-systems wheel lock

install: .venv/installed

.venv/installed: requirements.txt requirements-writer.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Folio needs Python 3.11 or newer; name it: make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on -r requirements.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on --no-deps -r requirements-writer.txt
	@touch $@

systems: .venv/systems

.venv/systems: .venv/installed requirements-systems.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --progress-bar on -r requirements-systems.txt
	@touch $@

index: install
	@$(BIN)/python -m indexing $(SOURCES) --index $(INDEX); status=$$?; [ $$status -eq 3 ] || exit $$status

app: index
	@$(BIN)/python app.py --index $(INDEX)

ask: index
	@$(BIN)/python -m rag ask "$(Q)" --index $(INDEX)

test: systems
	$(BIN)/ruff check .
	$(BIN)/python -m pytest

bench-systems: systems
	@test -n "$(DATA)" || { echo "name the folder of questions: make bench-systems DATA=DIR"; exit 2; }
	@$(BIN)/python -m bench.systems --data $(DATA)

wheel: install
	@$(BIN)/python -m pip wheel --disable-pip-version-check --quiet --no-deps --wheel-dir dist .

# Pins stay where the ranges allow it; `make lock UPGRADE=--upgrade` takes the newest. torch's CUDA packages are left
# out: where its wheel needs them, pip takes the ones that torch itself pins.
lock:
	$(call compile,requirements,requirements.in requirements-server.in requirements-test.in)
	$(call compile,requirements-systems,requirements-systems.in -c requirements.txt)

define compile
cp $(1).txt $(1).lock
uv pip compile $(2) --universal --python-version 3.11 --no-header --no-annotate --quiet $(UPGRADE) -o $(1).lock
{ echo "# The exact lock of $(2), made by \`make lock\`."; grep -Ev '^(nvidia-|cuda-|triton|#)' $(1).lock; } > $(1).txt
rm $(1).lock
endef
