// Nanobind itself, compiled once for all extensions: setup.py may name no source outside the repository.
#include <nb_combined.cpp>
