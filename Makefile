# The commands people type. `make help` is the map.
.DEFAULT_GOAL := help
.PHONY: help setup book html scripts test unit chapters export lint format repeat matrix lock student bench colab-check \
  address publish-check dist print serve clean
.NOTPARALLEL:

PYTHON ?= python3
PY := .venv/bin/python
# One thread: for models of this size a second one gains little, and on a busy machine costs much.
export OMP_NUM_THREADS ?= 1
export TQDM_DISABLE ?= 1

help:  ## show this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

# $(call step,number of how many,what it is,command): say it, and after it how long it took.
step = @echo "step $(1): $(2)"; begun=$$(date +%s); $(3) && echo "step $(1): done in $$(($$(date +%s) - begun)) s"

# One worker more than cores: tests that start a browser or a download wait for it. Four at most, for the memory.
WORKERS = --numprocesses $$($(PY) -c "import os; print(min(4, 1 + (os.cpu_count() or 1)))") --dist loadfile

# A Python that was named (make PYTHON=python3.12) is the one that the environment must have.
ENVIRONMENT = { command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) is missing: install Python 3.10 or newer"; exit 1; }; } \
  && $(PYTHON) tools/environment.py $(if $(filter command environment,$(firstword $(origin PYTHON))),--this-python)
LINT = $(PY) -m ruff check --quiet . && $(PY) -m ruff format --check --quiet . && $(PY) -m mypy --no-error-summary
PAGES = $(PY) book/vendor/fetch.py && $(PY) -m tools.pages
# A browser is waited for, as packages are: beside them.
BROWSER = $(PYTHON) tools/browser.py
WITH_BROWSER = { { $(BROWSER); } & found=$$!; { $(ENVIRONMENT); }; made=$$?; wait $$found && test $$made -eq 0; }
# Each takes one core: on two, together, the time of the longer.
BESIDE_LINT = { { $(LINT); } & lint=$$!; { $(PAGES); }; built=$$?; wait $$lint && test $$built -eq 0; }

setup:  ## make the virtual environment .venv (done once, by every target that needs it)
	@$(ENVIRONMENT)

book:  ## run every chapter here, training included, then build the HTML
	$(call step,1 of 4,the environment,$(ENVIRONMENT))
	$(call step,2 of 4,the scripts of the pages,$(PY) book/vendor/fetch.py)
	$(call step,3 of 4,the chapters: each is run here with its training,$(PY) tools/export.py && $(PY) tools/run_chapters.py)
	$(call step,4 of 4,the pages,$(PY) -m tools.pages)

html: scripts  ## build the HTML from the stored outputs, in seconds
	@$(PY) -m tools.pages

# The scripts of the pages, from npm.
scripts: setup
	@$(PY) book/vendor/fetch.py

test:  ## check everything: format, types, export, chapters (nbval), units, browser, strict build
	$(call step,1 of 4,the environment; beside it the browser,$(WITH_BROWSER))
	$(call step,2 of 4,format and types; beside them the pages,$(BESIDE_LINT))
	$(call step,3 of 4,the package is what the chapters say,$(PY) tools/export.py --check)
	$(call step,4 of 4,the tests and the chapters,$(PY) -m pytest -q -p tools.progress $(WORKERS))

unit: setup  ## the tests for whoever changes a line: no chapters, no browser, nothing slow
	@$(PY) -m pytest -q -p tools.progress tests -m "not slow and not browser and not book" $(WORKERS)

chapters: setup  ## run the notebooks in place, in order, and store their outputs
	@$(PY) tools/export.py
	@$(PY) tools/run_chapters.py $(CHAPTER)

export: setup  ## write transformer_lib/ from the chapters
	@$(PY) tools/export.py

lint: setup  ## check the format, the imports and the types: chapters, package, tests and tools
	@$(LINT)

format: setup  ## bring chapters, tests and tools into the format that lint asks for
	@$(PY) -m ruff check --quiet --fix . ; $(PY) -m ruff format --quiet . && $(PY) tools/export.py

repeat: setup  ## run all chapters N=10 times, the last LOADED=3 with every core busy, and count what failed
	@$(PY) tools/repeat.py --times $(or $(N),10) --loaded $(or $(LOADED),3) $(CHAPTER)

matrix: setup  ## test with every Python here, the oldest PyTorch, older processors, one thread and two
	@$(PY) -m tools.matrix $(ONLY)

lock: setup  ## write constraints.txt: the newest versions that fit together, on every Python and system
	@$(PY) tools/lock.py

student: setup  ## write _build/student: the chapters without solutions and outputs
	$(PY) tools/student.py _build/student

bench: setup  ## measure speed, memory and learning beside other libraries
	$(PY) benchmarks/run.py

colab-check: setup  ## run every chapter as Colab would: package from a git clone, in a bare environment
	$(PY) -m tools.colab_check $(CHAPTER)

address: setup  ## make address URL=https://...: set the book's public address everywhere
	$(PY) tools/address.py "$(URL)"

publish-check: setup  ## say what must be mended before the book is published
	@$(PY) -m tools.publish_check

dist: setup  ## build the wheel and the source archive, the same bytes from the same commit
	@$(PY) -m tools.dist

print: html  ## write _build/print: each page as a PDF, solutions at its end
	@$(BROWSER)
	@$(PY) -m tools.printable

serve: html  ## show the book at http://127.0.0.1:8000
	$(PY) -m http.server 8000 --bind 127.0.0.1 --directory _build/html

clean:  ## delete what was built; the virtual environment stays (delete .venv for that)
	rm -rf _build build transformer_lib.egg-info .pytest_cache .ruff_cache .mypy_cache .hypothesis
