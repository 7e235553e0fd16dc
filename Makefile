# The commands people type. `make help` is the map.
.DEFAULT_GOAL := help
.PHONY: help setup book html scripts test chapters export lint student bench colab-check address serve clean
.NOTPARALLEL:

PYTHON ?= python3
PY := .venv/bin/python
# One thread: for models of this size a second one gains little, and on a busy machine costs much.
export OMP_NUM_THREADS ?= 1
export TQDM_DISABLE ?= 1

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: .venv/ready  ## make the virtual environment .venv (done once, by every target that needs it)

.venv/ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { echo "python3 is missing: install Python 3.10 or newer"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "Python 3.10 or newer is needed, $$($(PYTHON) --version) is here: make PYTHON=python3.11"; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: on Debian and Ubuntu, apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --constraint constraints.txt torch
	$(PY) -m pip install --quiet --constraint constraints.txt --editable '.[book,test,bench]'
	@touch $@

book: scripts chapters html  ## run every chapter here, training included, then build the HTML

html: scripts  ## build the HTML from the stored outputs, in seconds
	.venv/bin/jupyter-book build . -W -n --keep-going
	@echo "Open _build/html/index.html, or type: make serve"

# The scripts of the pages, from npm; asked for first, since a book needs them last.
scripts: setup
	@$(PY) book/vendor/fetch.py

test: setup  ## check everything: export, chapters (nbval), units, browser, strict build
	$(PY) tools/export.py --check
	$(PY) tools/browser.py
	$(MAKE) html
	$(PY) -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

chapters: setup  ## run the notebooks in place, in order, and store their outputs
	$(PY) tools/export.py
	$(PY) tools/run_chapters.py $(CHAPTER)

export: setup  ## write transformer_lib/ from the chapters
	$(PY) tools/export.py

lint: setup  ## format and check the code, notebooks included
	$(PY) -m ruff check chapters tests tools book benchmarks
	$(PY) -m ruff format --check tests tools book benchmarks

student: setup  ## write _build/student: the chapters without solutions and outputs
	$(PY) tools/student.py _build/student

bench: setup  ## measure speed, memory and learning beside other libraries
	$(PY) benchmarks/run.py

colab-check: setup  ## run every chapter as Colab would: package from a git clone, in a bare environment
	$(PY) -m tools.colab_check $(CHAPTER)

address: setup  ## make address URL=https://github.com/OWNER/REPO: set the book's public address everywhere
	$(PY) tools/address.py "$(URL)"

serve: html  ## show the book at http://127.0.0.1:8000
	$(PY) -m http.server 8000 --bind 127.0.0.1 --directory _build/html

clean:  ## delete what was built; the virtual environment stays (delete .venv for that)
	rm -rf _build transformer_lib.egg-info .pytest_cache .ruff_cache .hypothesis
