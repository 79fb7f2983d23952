"""The kernels in C beside those in NumPy, which share no code. `test_kernels` holds each to exact values."""

import os
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from skfocal import _kernels
from skfocal._kernels import binary, blocks, softmax

pytestmark = pytest.mark.usefixtures("compiled")


@pytest.mark.parametrize("gamma", [0.0, 0.5, 1.0, 1.3, "per row"])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("n_classes", [1, 2, 7, 1000])
def test_c_and_numpy_agree_on_any_memory_layout(n_classes, dtype, gamma, monkeypatch):
    rng = np.random.default_rng(n_classes)
    n = 40 if n_classes == 1000 else 1003
    Z = (6 * rng.normal(size=(n, n_classes))).astype(dtype)
    y = rng.integers(max(2, n_classes), size=n)
    w = rng.random(n).astype(dtype)
    c = rng.uniform(0, 3, size=n).astype(dtype) if gamma == "per row" else gamma
    module, z, labels = (binary, Z[:, 0], (1 - 2 * y).astype(dtype)) if n_classes == 1 else (softmax, Z, y)
    options = {"scale": 1.7, "hessian_factor": 1.2, "least": 0.25, "floor": 0.01}

    def results(z, *rest, out=None):
        return [
            *module.loss_gradient(z, *rest),
            *module.gradient_hessian(z, *rest, **options, out=out),
        ]

    got = results(z, labels, w, c)
    # Backwards, every other number of a wider array, and with float32 results of the other memory order.
    wide = np.repeat(np.repeat(Z, 2, axis=0), 2, axis=1)[::-2, ::2]
    backwards = [a if a is c and gamma != "per row" else a[::-1] for a in (labels, w, c)]
    out = tuple(np.empty(z.shape, np.float32, order="F") for _ in range(2))
    strided = results(wide[:, 0] if n_classes == 1 else wide, *backwards, out=out)
    monkeypatch.setattr(_kernels, "compiled", None)
    expected = results(z, labels, w, c)
    eps = np.finfo(dtype).eps
    for i in range(4):
        # A logarithm of q has an absolute error; exp(gamma*log q) has it relative to the result.
        size = np.abs(expected[i]).max() if i == 3 else np.abs(expected[i])
        assert (np.abs(got[i] - expected[i]) <= (400 if dtype is np.float64 else 100) * eps * size + 1e-35).all()
        assert_array_equal(strided[i][::-1], got[i].astype(strided[i].dtype))


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_memory_that_is_not_aligned_is_read_and_written(dtype):
    def unaligned(a):
        room = np.empty(a.nbytes + 1, dtype=np.uint8)
        view = room[1:].view(a.dtype).reshape(a.shape, order="F")
        view[...] = a
        return view

    rng = np.random.default_rng(0)
    Z, y = rng.normal(size=(1000, 3)).astype(dtype), rng.integers(3, size=1000)
    s = np.where(y > 0, -1, 1).astype(dtype)
    for module, data in ((binary, (Z[:, 0], s)), (softmax, (np.asfortranarray(Z), y))):
        expected = module.gradient_hessian(*data, None, 1.3)
        out = tuple(unaligned(np.zeros_like(data[0])) for _ in range(2))
        assert not out[0].flags.aligned
        module.gradient_hessian(*map(unaligned, data), None, 1.3, out=out)
        assert_array_equal(out, expected)


def test_compiled_kernels_refuse_what_they_cannot_read(compiled):
    z, s, y = np.zeros(3), np.ones(3), np.zeros(3, dtype=np.intp)
    g, h = np.empty(3), np.empty(3)
    rest = 1.0, 1.0, 0.0, 0.0, 0, None, g, h
    compiled.binary(z, s, None, 1.0, *rest)
    read_only = np.empty(3)
    read_only.flags.writeable = False
    for bad in (
        (z[:2], s, None, 1.0, *rest),
        (z, s.astype(np.float32), None, 1.0, *rest),
        (z, s, s[:2], 1.0, *rest),
        (z, s, None, s[:2], *rest),
        (z.astype(np.int64), s, None, 1.0, *rest),
        (z.astype(np.float32), s.astype(np.float32), None, 1.0, *rest),  # results wider than what is computed
        (z, s, None, 1.0, 1.0, 1.0, 0.0, 0.0, 0, None, g[:2], h),
        (z[:, np.newaxis], s, None, 1.0, *rest),
    ):
        with pytest.raises(ValueError, match="wrong type or shape"):
            compiled.binary(*bad)
    with pytest.raises((ValueError, BufferError), match="read-only"):
        compiled.binary(z, s, None, 1.0, 1.0, 1.0, 0.0, 0.0, 0, None, read_only, h)
    with pytest.raises(TypeError):
        compiled.binary(z, s, None)
    with pytest.raises(ValueError, match="drop_bits must be from 0 to 23, got 24"):
        compiled.binary(z, s, None, 1.0, 1.0, 1.0, 0.0, 0.0, 24, None, g, h)
    Z = np.zeros((3, 2))
    with pytest.raises(ValueError, match="y has the wrong type or shape"):
        compiled.softmax(Z, y.astype(np.int32), None, 1.0, 1.0, 1.0, 0.0, 0.0, 0, None, Z, Z)
    with pytest.raises(ValueError, match="gradient has the wrong type or shape"):
        compiled.softmax(Z, y, None, 1.0, 1.0, 1.0, 0.0, 0.0, 0, None, Z[:, :1], Z)
    for label in (-1, 2, 2**32):
        with pytest.raises(ValueError, match=r"y must hold class indices 0 .. 1"):
            compiled.softmax(Z, np.full(3, label), None, 1.0, 1.0, 1.0, 0.0, 0.0, 0, None, Z, Z)


def test_compiled_kernels_refuse_labels_and_tables_that_they_cannot_read(compiled):
    z, y, g, h = np.zeros(3), np.zeros(3, np.int8), np.empty(3), np.empty(3)
    Z, G, H = np.zeros((3, 4)), np.empty((3, 4)), np.empty((3, 4))
    assert compiled.binary_of_labels(z, y, None, np.ones(2), np.ones(2), None, g, h) is True
    assert compiled.softmax_of_labels(Z, y, None, np.ones(4), np.ones(4), None, G, H) is True
    for bad in (
        (z, y.astype(np.float16), None, 1.0, None, None, g, h),
        (z, y.astype(np.complex64), None, 1.0, None, None, g, h),
        (z, y.astype(">f8"), None, 1.0, None, None, g, h),
        (z, y.astype(object), None, 1.0, None, None, g, h),
        (z, y.astype("S1"), None, 1.0, None, None, g, h),
        (z, y.astype("datetime64[s]").astype(np.void), None, 1.0, None, None, g, h),
        (z, y[:2], None, 1.0, None, None, g, h),
        (z, y[:, np.newaxis], None, 1.0, None, None, g, h),
        (z, y, None, np.ones(3), None, None, g, h),
        (z, y, None, np.ones(2, np.float32), None, None, g, h),
        (z, y, None, 1.0, np.ones(3), None, g, h),
    ):
        with pytest.raises(ValueError, match="wrong type or shape"):
            compiled.binary_of_labels(*bad)
    with pytest.raises(ValueError, match="alpha has the wrong type or shape"):
        compiled.softmax_of_labels(Z, y, None, 1.0, np.ones(3), None, G, H)
    with pytest.raises(TypeError, match="exactly 8"):
        compiled.binary_of_labels(z, y)


@pytest.mark.parametrize("n_scores", [1, 3])
def test_each_result_may_be_asked_for_alone(n_scores, compiled):
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(300, n_scores)), rng.integers(max(2, n_scores), size=300)
    data = (z[:, 0], 1.0 - 2 * y) if n_scores == 1 else (z, y)
    kernel = compiled.binary if n_scores == 1 else compiled.softmax

    def fill(*wanted):
        results = [np.full(300 if i == 0 else data[0].shape, np.nan) if i in wanted else None for i in range(3)]
        kernel(*data, None, 1.3, 1.0, 1.0, 0.25, 0.0, 0, *results)
        return results

    together = fill(0, 1, 2)
    assert np.isfinite(np.concatenate([a.reshape(-1) for a in together])).all()
    for i in range(3):
        assert_array_equal(fill(i)[i], together[i])


@pytest.mark.parametrize("n_classes", [0, 2**31, 2**57])
@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_compiled_kernels_refuse_no_classes_and_more_than_they_can_count(n_classes, dtype, compiled):
    huge = np.lib.stride_tricks.as_strided(np.zeros(1, dtype), (1, n_classes), (8, 0))
    loss = np.empty(1, dtype)
    with pytest.raises(ValueError, match=f"raw_prediction must have from 1 to 2147483647 classes, got {n_classes}"):
        compiled.softmax(huge, np.zeros(1, np.intp), None, 1.0, 1.0, 1.0, 0.0, 0.0, 0, loss, None, None)


@pytest.mark.parametrize(("value", "printed"), [("0", "None"), ("1", "skfocal._kernels._compiled")])
def test_an_environment_variable_leaves_the_work_to_numpy(value, printed):
    # -P: the package that is installed, not the one in the working directory.
    run = [sys.executable, "-P", "-c", "import skfocal._kernels as k; print(getattr(k.compiled, '__name__', None))"]
    environment = {**os.environ, "SKFOCAL_COMPILED": value}
    assert subprocess.run(run, env=environment, check=True, capture_output=True, text=True).stdout.strip() == printed


@pytest.mark.parametrize("method", ["loss", "loss_gradient", "gradient_hessian"])
@pytest.mark.parametrize("name", ["binary", "softmax"])
def test_each_row_is_computed_once(name, method, compiled, monkeypatch):
    computed = []

    def fill(z, y, *rest):
        computed.append(len(y))
        return getattr(compiled, name)(z, y, *rest)

    monkeypatch.setattr(_kernels, "compiled", SimpleNamespace(**{name: fill}))
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 1000)
    y = np.zeros(2999, np.intp)
    z, labels = (np.zeros(2999), 1.0 - y) if name == "binary" else (np.zeros((2999, 2)), y)
    getattr(binary if name == "binary" else softmax, method)(z, labels, None, 1.3)
    # Four blocks of 1000 rows, and six of 500 with two scores, whose sizes are made equal.
    assert computed == ([750] * 3 + [749] if name == "binary" else [500] * 5 + [499])
