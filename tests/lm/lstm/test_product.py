import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lm.bundle import Rows
from lm.lstm import core
from lm.lstm.product import Product

SIZES = st.integers(1, 140)


def rows(outputs, inputs, stored, random):
    """A matrix as it ships, or in single precision."""
    values = random.integers(-127, 128, (outputs, inputs)).astype(np.int8)
    scales = random.uniform(0.001, 0.1, outputs).astype(np.float32)
    return Rows(values, scales) if stored else Rows.of(values * scales[:, None])


@given(SIZES, SIZES, st.integers(0, 8), st.booleans())
def test_it_multiplies(outputs, inputs, count, stored):
    random = np.random.default_rng(outputs)
    weight = rows(outputs, inputs, stored, random)
    matrix = weight.values * weight.scales[:, None].astype(np.float64)
    x = random.standard_normal((count, inputs)).astype(np.float32)
    product = Product(weight)
    found = product(x)
    assert found == pytest.approx(x @ matrix.T, abs=1e-5 * np.abs(matrix).max() * inputs)
    assert product.rows(np.arange(outputs)) == pytest.approx(matrix)
    for row, alone in zip(found, x, strict=True):
        assert np.array_equal(product(alone[None])[0], row)


@pytest.mark.parametrize("way", range(core.ways()))
@pytest.mark.parametrize("stored", [False, True])
def test_every_processor_multiplies(stored, way, monkeypatch):
    random = np.random.default_rng(1)
    product, x = Product(rows(100, 33, stored, random)), random.standard_normal((7, 33)).astype(np.float32)
    found = product(x)
    monkeypatch.setattr(core, "multiply", functools.partial(core.multiply, way=way))
    assert product(x) == pytest.approx(found, abs=1e-4)
    assert np.array_equal(product(x[3:4])[0], product(x)[3])


def test_shapes_must_fit():
    product = Product(rows(70, 5, True, np.random.default_rng(1)))
    for x, out in (((2, 6), (2, 70)), ((2, 5), (3, 70)), ((2, 5), (2, 64)), ((2, 5), (2, 129))):
        with pytest.raises(ValueError, match="shapes"):
            product(np.zeros(x, np.float32), np.zeros(out, np.float32))
    with pytest.raises(TypeError):
        product(np.zeros((2, 5)))
