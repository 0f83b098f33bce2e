"""What pyproject.toml can't say: how the compiled parts are built.

Nanobind is compiled in, so that it isn't needed at run time. From Python 3.12 on one build serves all later Pythons
(the stable ABI).
"""

import sys
import sysconfig
from pathlib import Path

import nanobind
from setuptools import Extension, setup

SOURCES = Path(nanobind.source_dir())
INCLUDES = [".", nanobind.include_dir(), str(SOURCES), str(SOURCES.parent / "ext/robin_map/include")]
STABLE = sys.version_info >= (3, 12)
MACROS = [("NB_COMPACT_ASSERTIONS", None), *([("Py_LIMITED_API", "0x030C0000")] if STABLE else [])]
# Nobody catches floating-point exceptions, for whose sake some loops wouldn't become vectors.
FLAGS = ["-std=c++17", "-O3", "-fno-trapping-math", "-g0", "-fvisibility=hidden"]


def extension(name: str, headers: list[str]) -> Extension:
    return Extension(
        name,
        [name.replace(".", "/") + ".cpp"],
        depends=headers,
        include_dirs=INCLUDES,
        define_macros=MACROS,
        extra_compile_args=FLAGS,
        py_limited_api=STABLE,
    )


NGRAM = ["lm/ngram/ngram.hpp", "lm/ngram/views.hpp"]
setup(
    libraries=[
        (
            "nanobind",
            {
                "sources": ["lm/nanobind.cpp"],
                "include_dirs": [sysconfig.get_path("include"), *INCLUDES],
                "macros": MACROS,
                "cflags": [*FLAGS, "-fno-strict-aliasing"],
            },
        )
    ],
    ext_modules=[
        extension("asr.decoder.core", ["asr/decoder/search.hpp", "asr/decoder/lattice.hpp", *NGRAM]),
        extension("lm.lstm.core", ["lm/lstm/product.hpp", "lm/lstm/step.hpp"]),
        extension("lm.ngram.core", NGRAM),
    ],
    options={"bdist_wheel": {"py_limited_api": "cp312"}} if STABLE else {},
)
