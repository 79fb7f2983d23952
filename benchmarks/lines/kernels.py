"""Kernels compared with the formulas as NumPy expressions, and with the objectives of other packages if installed."""

from functools import partial

import numpy as np

from skfocal import FocalLoss


def plain_binary(z, s, gamma):
    """The formulas of the binary loss as NumPy expressions."""
    p = 1.0 / (1.0 + np.exp(-s * z))
    q = 1.0 - p
    log_p = np.log(p)
    gradient = s * q**gamma * (gamma * p * log_p - q)
    return gradient, q**gamma * p * ((1 + 2 * gamma) * q + gamma * log_p * (q - gamma * p))


def plain_softmax(z, y, gamma):
    """The formulas of the multiclass loss as NumPy expressions."""
    p = np.exp(z - z.max(axis=1, keepdims=True))
    p /= p.sum(axis=1, keepdims=True)
    one = np.eye(z.shape[1])[y]
    p_t = (p * one).sum(axis=1, keepdims=True)
    q = 1 - p_t
    r = -np.log(p_t) / q
    w = q**gamma * (1 + gamma * p_t * r)
    w_prime = -gamma * p_t * q ** (gamma - 1) * (2 - q * r + (gamma - 1) * p_t * r)
    return w * (p - one), w * p * (1 - p) - w_prime * (p - one) ** 2


def margins(n):
    """Scores and signs as in the middle of the training of a booster."""
    rng = np.random.default_rng(0)
    s = np.where(rng.random(n) < 0.1, 1.0, -1.0)
    return rng.normal(size=n) * 2 + s, s


def binary(gamma, dtype, n=1_000_000):
    """The kernel as in training (labels converted once, results in the same arrays), and the formulas in NumPy."""
    z, s = margins(n)
    scores, data = z.astype(dtype), FocalLoss(gamma).on(s > 0, 1, dtype=dtype)
    out = np.empty(n, dtype), np.empty(n, dtype)
    return partial(data.gradient_hessian, scores, out=out), partial(plain_binary, z, s, gamma)


def public(label_dtype, n=1_000_000):
    """``FocalLoss.gradient_hessian`` with all its checks, for labels of this type, and the formulas in NumPy."""
    z, s = margins(n)
    return partial(FocalLoss(2.0).gradient_hessian, (s > 0).astype(label_dtype), z), partial(plain_binary, z, s, 2.0)


def softmax(n=1_000_000, n_classes=5):
    """The same for several classes."""
    rng = np.random.default_rng(0)
    z, y = rng.normal(size=(n, n_classes)) * 2, rng.integers(n_classes, size=n)
    out = np.empty_like(z), np.empty_like(z)
    return partial(FocalLoss(2.0).on(y, n_classes).gradient_hessian, z, out=out), partial(plain_softmax, z, y, 2.0)


def threads():
    """Two threads compared with one."""
    one, _ = binary(2.0, np.float64)
    return partial(one, n_threads=2), one


def ten_million():
    """10M rows compared with ten times 1M rows."""
    large, _ = binary(2.0, np.float64, 10_000_000)
    small, _ = binary(2.0, np.float64)
    return large, lambda: [small() for _ in range(10)]


def imlightgbm():
    """Comparison with imlightgbm's objective, on the same labels, scores and gamma."""
    from imlightgbm.objective import binary_focal_objective

    z, s = margins(1_000_000)
    y = (s > 0).astype(float)
    ours, _ = binary(2.0, np.float64)
    return ours, partial(binary_focal_objective, y, z, 2.0)


def gbdtcbl():
    """Comparison with gbdtCBL's objective for LightGBM, on the same labels and scores."""
    from gbdtCBL.binary import FLLoss

    z, s = margins(1_000_000)
    y = (s > 0).astype(float)
    ours, _ = binary(2.0, np.float64)
    return ours, partial(FLLoss(2.0), y, z)


KERNELS = [
    ("kernel, binary, 1M rows, float64, gamma 2", 0.30, lambda quick: binary(2.0, np.float64)),
    ("kernel, binary, 1M rows, float64, gamma 1.3", 0.30, lambda quick: binary(1.3, np.float64)),
    ("kernel, binary, 1M rows, float32, gamma 2", 0.15, lambda quick: binary(2.0, np.float32)),
    ("kernel, multiclass, 1M rows, 5 classes, gamma 2", 0.30, lambda quick: softmax()),
]
# These lines run in processes without the C kernels, because AVX-512 cannot be disabled in the C kernels.
NUMPY = [(f"{name}, in NumPy", bound, make) for name, bound, make in KERNELS]
WITHOUT_AVX512 = [
    (f"{name}, in NumPy without AVX-512", bound, make)
    for (name, _, make), bound in ((KERNELS[0], 0.50), (KERNELS[2], 0.30))
]
LINES = [
    *KERNELS,
    ("FocalLoss.gradient_hessian, 1M rows, integer labels", 0.25, lambda quick: public(np.int64)),
    ("FocalLoss.gradient_hessian, 1M rows, float labels", 0.30, lambda quick: public(np.float64)),
    ("kernel, binary, against imlightgbm's objective", 0.30, lambda quick: imlightgbm()),
    ("kernel, binary, against gbdtCBL's objective", 0.30, lambda quick: gbdtcbl()),
    ("kernel, binary, two threads against one", 0.60, lambda quick: threads()),
    ("kernel, binary, 10M rows against ten times 1M", 1.10, lambda quick: ten_million()),
]
