"""The posterior of raw scores against its definition in 300-digit arithmetic."""

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skfocal import FocalLoss
from skfocal._kernels import binary, softmax
from skfocal._kernels.blocks import BLOCK_ELEMENTS


def exact_log_posterior(z, gamma, alpha):
    """Logarithms, up to a constant, of the probabilities P at which the expected loss has its minimum at ``z``.

    The gradient of class k's loss is ``alpha_k * A_k/q_k * (p_j - [j==k])``, where ``A_k`` is its slope in the margin
    of class k. So the expected gradient is 0 where ``P_k * alpha_k * A_k/q_k`` is proportional to ``p_k``. The slope is
    a difference of ``-q**gamma * log p`` itself.
    """
    with mpmath.workdps(1200):
        z, h = [mpmath.mpf(float(x)) for x in z], mpmath.mpf(10) ** -100
        e = [mpmath.exp(x) for x in z]
        result = []
        for k in range(len(z)):
            others = mpmath.fsum(e[:k] + e[k + 1 :])
            margin, g = z[k] - mpmath.log(others), mpmath.mpf(gamma[k])

            def loss(u, g=g):
                return ((1 / (1 + mpmath.exp(u))) ** g) * mpmath.log1p(mpmath.exp(-u))

            slope = (loss(margin - h) - loss(margin + h)) / (2 * h)
            p, q = e[k] / (e[k] + others), others / (e[k] + others)
            result.append(mpmath.log(p * q / (mpmath.mpf(alpha[k]) * slope)))
        return result


SCORES = np.r_[-800.0, -90.0, -36.0, -3.0, -0.2, 0.0, 1e-6, 0.7, 5.0, 40.0, 87.0, 800.0]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize(
    "gamma", [(0.0, 0.0), (1.0, 1.0), (2.0, 2.0), (2.0, 0.0), (0.0, 2.0), (0.5, 3.0), (10.0, 10.0)], ids=str
)
@pytest.mark.parametrize("alpha", [(1.0, 1.0), (0.2, 3.0)], ids=str)
def test_of_two_classes_by_definition(alpha, gamma, dtype):
    expected = []
    for z in SCORES:
        negative, positive = exact_log_posterior([0.0, z], gamma, alpha)
        expected.append(float(positive - negative))
    log_alpha_ratio = np.log(alpha[1] / alpha[0])
    logit = binary.posterior_logit(SCORES.astype(dtype), *gamma, log_alpha_ratio)
    assert logit.dtype == dtype
    rounding = 8 * np.finfo(dtype).eps * (1 + max(gamma))
    assert_allclose(logit, expected, rtol=rounding, atol=rounding)
    if alpha == (1.0, 1.0):
        assert_array_equal(binary.posterior_logit(SCORES.astype(dtype), *gamma), logit)


ROWS = [
    [0.0, 0.0, 0.0],
    [1.0, -2.0, 0.3],
    [3.0, 3.0, -40.0],
    [36.0, 0.0, -1.0],
    [0.0, 80.0, -5.0],
    [-300.0, 5.0, 400.0],
    [0.0, 0.0, 800.0],
]


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("gamma", [(0.0, 0.0, 0.0), (1.0, 1.0, 1.0), (2.0, 0.0, 0.7), (0.5, 7.0, 2.0)], ids=str)
@pytest.mark.parametrize("alpha", [None, (0.2, 3.0, 1.0)], ids=str)
def test_of_three_classes_by_definition(alpha, gamma, dtype):
    expected = [exact_log_posterior(row, gamma, alpha or (1.0, 1.0, 1.0)) for row in ROWS]
    log_alpha = None if alpha is None else np.log(alpha).astype(dtype)
    got = softmax.log_posterior(np.array(ROWS, dtype), np.array(gamma, dtype), log_alpha).astype(float)
    rounding = 16 * np.finfo(dtype).eps * (1 + max(gamma))
    for row, exact in zip(got, expected, strict=True):
        # A constant per row is open.
        top = int(np.argmax(row))
        differences = [float(x - exact[top]) for x in exact]
        assert_allclose(row - row[top], differences, rtol=rounding, atol=rounding * (1 + max(gamma)))


def test_each_row_has_its_own_posterior_in_every_block():
    n = 2 * BLOCK_ELEMENTS + 3
    z = np.linspace(-6.0, 6.0, n)
    some = np.r_[0, 1, BLOCK_ELEMENTS - 1, BLOCK_ELEMENTS, BLOCK_ELEMENTS + 1, n // 2, n - 2, n - 1]
    Z = np.c_[z, z[::-1], np.zeros(n)]
    loss, several = FocalLoss((2.0, 0.5), (0.3, 2.0)), FocalLoss((2.0, 0.5, 1.0), (0.3, 2.0, 1.0))
    for calibration in ("focus", "full", None):
        assert_allclose(
            loss.predict_proba(z, calibration)[some], loss.predict_proba(z[some], calibration), rtol=1e-14, atol=0
        )
        assert_allclose(
            several.predict_proba(Z, calibration)[some], several.predict_proba(Z[some], calibration), rtol=1e-14, atol=0
        )


def test_gamma_zero_is_corrected_for_the_class_weights_alone():
    z = np.linspace(-5.0, 5.0, 11)
    # With the weights (1, 4) the score's odds are four times those of the classes.
    odds = np.exp(z) / 4.0
    loss = FocalLoss(0.0, (1.0, 4.0))
    expected = np.stack([1.0 / (1.0 + odds), odds / (1.0 + odds)], axis=1)
    assert_allclose(loss.predict_proba(z, "full"), expected, rtol=1e-13)
    assert_allclose(loss.predict_proba(np.stack([0.0 * z, z], axis=1), "full"), expected, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("calibration", ["focus", "full", None])
@pytest.mark.parametrize("gamma", [0.0, 2.0, 100.0])
def test_the_largest_scores_have_the_probabilities_0_and_1_and_change_no_other_row(gamma, calibration, dtype):
    m = np.finfo(dtype).max
    one, several = FocalLoss(gamma, (0.3, 2.0)), FocalLoss(gamma, (0.3, 2.0, 2.0))
    z = np.array([0.3, m, 2.0], dtype)
    Z = np.array([[0.3, 2.0, -1.0], [m, -m, 0.0], [-m, -m, m / 2], [-m, m, m]], dtype)
    with np.errstate(all="raise"):
        for sign, proba in ((1, [0.0, 1.0]), (-1, [1.0, 0.0])):
            got = one.predict_proba(sign * z, calibration)
            assert_allclose(got[1], proba, atol=1e-30)
            assert_array_equal(got[[0, 2]], one.predict_proba(sign * z[[0, 2]], calibration))
        for rows in (slice(0, 2), slice(0, 3), slice(0, 4)):
            got = several.predict_proba(Z[rows], calibration)
            assert_allclose(got[1:], [[1, 0, 0], [0, 0, 1], [0, 0.5, 0.5]][: rows.stop - 1], rtol=1e-6, atol=1e-30)
            assert_array_equal(got[:1], several.predict_proba(Z[:1], calibration))
