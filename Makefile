# make demo   set up, then transcribe a real recording with the models that ship
# make test   set up, then run the tests
# make lint   set up, then ruff and mypy

PYTHON ?= python3
TORCH ?= torch==2.13.0
BIN := .venv/bin

.PHONY: demo test lint lm-tools clean

demo: .venv/ready
	@$(BIN)/asr transcribe tests/data/*.flac

test: .venv/ready
	$(BIN)/python -m pytest

lint: .venv/ready
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

.venv/ready: pyproject.toml setup.py lm/nanobind.cpp $(wildcard asr/decoder/*.cpp asr/decoder/*.hpp)
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11, 4) and "nicebeach needs Python 3.11.4 or newer")'
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet '$(TORCH)'
	$(BIN)/pip install --quiet --no-deps 'torchaudio>=2.9'
	# torchaudio's compiled parts link CUDA. Beside a CPU-only torch it imports once they are gone; we use its Python.
	$(BIN)/python -c 'import torch, sys; sys.exit(torch.version.cuda is not None)' \
		&& rm -f .venv/lib/python3*/site-packages/torchaudio/lib/*.so || true
	# kenlm compiles for a minute.
	$(BIN)/pip install --quiet cmake
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/pip install --quiet -e '.[train,codecs,dev]'
	touch $@

# KenLM's own tools: lmplz estimates an n-gram model, build_binary packs it. Only training needs them. Their source is
# in PyPI's source package of kenlm; they need Boost, which pip cannot bring.
KENLM := 0.3.0
BOOST := cmake libboost-program-options-dev libboost-system-dev libboost-thread-dev libboost-test-dev \
	zlib1g-dev libbz2-dev liblzma-dev

lm-tools: build/kenlm/bin/lmplz

build/kenlm/bin/lmplz: | .venv/ready
	@printf '#include <boost/program_options.hpp>\n#include <boost/thread.hpp>\n#include <boost/test/unit_test.hpp>\n\
	#include <zlib.h>\n#include <bzlib.h>\n#include <lzma.h>\n' | $(CXX) -x c++ -fsyntax-only - 2>/dev/null \
		&& command -v cmake >/dev/null || { echo "lm-tools needs: apt-get install $(BOOST)" >&2; exit 1; }
	$(BIN)/pip download --quiet --no-deps --no-binary kenlm -d build kenlm==$(KENLM)
	rm -rf build/kenlm && mkdir -p build/kenlm/source
	tar -xzf build/kenlm-$(KENLM).tar.gz -C build/kenlm/source --strip-components=1
	cmake -S build/kenlm/source -B build/kenlm -DCMAKE_BUILD_TYPE=Release -DENABLE_INTERPOLATE=OFF >build/kenlm/log 2>&1
	$(MAKE) -C build/kenlm build_binary lmplz >>build/kenlm/log 2>&1 || { tail -20 build/kenlm/log >&2; exit 1; }

clean:
	rm -rf .venv build *.egg-info
