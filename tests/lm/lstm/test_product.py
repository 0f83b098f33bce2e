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
    assert found == pytest.approx(x @ matrix.T, abs=3e-5 * np.abs(matrix).max() * inputs)
    assert product.rows(np.arange(outputs)) == pytest.approx(matrix)


@given(SIZES, SIZES, st.integers(0, 8))
def test_a_batch_equals_its_members_on_every_processor(outputs, inputs, count):
    random = np.random.default_rng(inputs)
    product, x = (
        Product(rows(outputs, inputs, True, random)),
        random.standard_normal((count, inputs)).astype(np.float32),
    )
    found = product(x)
    for way in range(core.ways()):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(core, "multiply", functools.partial(core.multiply, way=way))
            assert np.array_equal(product(x), found)
            assert all(np.array_equal(product(x[i : i + 1]), found[i : i + 1]) for i in range(count))


@pytest.mark.parametrize("inputs", [1, 2, 255, 513, 1024, 5000])
def test_the_largest_sums_fit(inputs):
    """All inputs and weights as large as can be, of any size, and nothing."""
    values = np.full((2, inputs), -127, np.int8)
    values[1] = 127
    product = Product(Rows(values, np.array([1, 2], np.float32)))
    for size in (1e-30, 1.0, 1e30):
        found = product(np.full((1, inputs), size, np.float32))[0]
        assert found == pytest.approx([-127.0 * size * inputs, 254.0 * size * inputs], rel=1e-5)
    for size in (0.0, 1e-45, 1e-39):
        assert product(np.full((1, inputs), size, np.float32)) == pytest.approx(0.0, abs=1e-30)


def test_shapes_must_fit():
    packed = Product(rows(70, 5, True, np.random.default_rng(1))).packed
    for x, out in (((2, 7), (2, 70)), ((2, 5), (3, 70)), ((2, 5), (2, 64)), ((2, 5), (2, 129))):
        with pytest.raises(ValueError, match="shapes"):
            core.multiply(np.zeros(x, np.float32), *packed, np.zeros(out, np.float32))
    with pytest.raises(TypeError):
        core.multiply(np.zeros((2, 5)), *packed, np.zeros((2, 70), np.float32))
