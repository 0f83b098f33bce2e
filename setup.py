"""What pyproject.toml can't say: how the compiled part of the decoder is built."""

from pybind11.setup_helpers import Pybind11Extension
from setuptools import setup

setup(
    ext_modules=[
        Pybind11Extension(
            "asr.decoder.core",
            ["asr/decoder/core.cpp"],
            depends=["asr/decoder/search.hpp", "asr/decoder/lattice.hpp"],
            cxx_std=17,
            extra_compile_args=["-O3"],
        )
    ]
)
