"""The constant scores at which the expected loss has its minimum."""

import itertools

import mpmath
import numpy as np
import pytest
from numpy.testing import assert_allclose

from skfocal import FocalLoss
from skfocal._kernels import binary


def exact_slope(gamma, alpha, z):
    """Minus the derivative of one class's loss by its margin z."""
    h = mpmath.mpf(10) ** -40

    def loss(u):
        return mpmath.mpf(alpha) * (1 / (1 + mpmath.exp(u))) ** mpmath.mpf(gamma) * mpmath.log1p(mpmath.exp(-u))

    return (loss(z - h) - loss(z + h)) / (2 * h)


def shares_with_optimum(z, gamma, alpha):
    """Shares of two classes for which ``z`` is the optimum: there, the slopes of the two classes cancel."""
    with mpmath.workdps(120):
        z = mpmath.mpf(z)
        slopes = exact_slope(gamma[0], alpha[0], -z), exact_slope(gamma[1], alpha[1], z)
        return [float(slopes[1] / (slopes[0] + slopes[1])), float(slopes[0] / (slopes[0] + slopes[1]))]


SCORES = [-7.0, -0.6, -0.15, -1e-3, 0.04, 0.17, 0.8, 1.4, 3.0, 12.0]
GAMMAS = [(0.5, 0.5), (1.0, 1.0), (4.0, 4.0), (0.0, 3.0), (5.0, 0.0), (100.0, 100.0)]
ALPHAS = [(1.0, 1.0), (1.0, 10.9), (300.0, 1.0)]
# Of the others one share is less than 1e-15, the share that an absent class is given.
CASES = [c for c in itertools.product(SCORES, GAMMAS, ALPHAS) if abs(c[0]) * (1 + max(c[1])) < 28]


@pytest.mark.parametrize(("z", "gamma", "alpha"), CASES, ids=str)
def test_of_two_classes_by_definition(z, gamma, alpha):
    shares = shares_with_optimum(z, gamma, alpha)
    # One bit of a share moves the score by about as much.
    assert_allclose(FocalLoss(gamma, alpha).optimal_scores(shares), z, rtol=1e-13, atol=4e-15)


def test_without_gamma_they_are_the_logarithms_of_the_weighted_shares():
    totals, alpha = np.array([5.0, 1.0, 2.0]), (0.5, 8.0, 1.0)
    weighted = np.array([2.5, 8.0, 2.0])
    assert_allclose(FocalLoss(0.0, alpha).optimal_scores(totals), np.log(weighted / 12.5), rtol=1e-14)
    assert_allclose(FocalLoss(0.0, alpha[:2]).optimal_scores(totals[:2]), np.log(8.0 / 2.5), rtol=1e-14)


def log_shares_with_optimum(z, gamma, alpha):
    """Logarithms of shares of several classes for which the scores ``z`` are optimal.

    The gradient of class k's loss is its slope by the margin of class k, divided by q_k, times ``p_j - [j==k]``.
    """
    with mpmath.workdps(120):
        e = [mpmath.exp(mpmath.mpf(x)) for x in z]
        shares = []
        for k, (g, a) in enumerate(zip(gamma, alpha, strict=True)):
            others = mpmath.fsum(e[:k] + e[k + 1 :])
            slope = exact_slope(g, a, mpmath.log(e[k] / others))
            shares.append(e[k] * others / slope)
        return [float(mpmath.log(x / mpmath.fsum(shares))) for x in shares]


@pytest.mark.parametrize("gamma", [0.01, 0.5, 1.0, 2.0, 14.0, 16.0])
@pytest.mark.parametrize("scores", [[0.0, 0.0, 0.0], [0.0, -1.0, -3.0], [0.0, -0.1, -8.0], [0.2] + [0.0] * 9], ids=str)
@pytest.mark.parametrize("several", [False, True], ids=["one gamma", "several"])
def test_of_several_classes_by_definition(several, scores, gamma):
    k = len(scores)
    gammas = [gamma] * k if not several else [gamma, *np.linspace(0.0, 1.5 * gamma, k - 1)]
    alpha = [1.0] * k if not several else [10.0 ** (j % 4) for j in range(k)]
    shares = np.exp(log_shares_with_optimum(scores, gammas, alpha))
    assert min(shares) > 1e-14  # an absent class is given 1e-15
    expected = scores - np.log(np.exp(scores).sum())
    assert_allclose(FocalLoss(gammas, alpha).optimal_scores(shares), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("totals", [(1e-300, 1e300), (1e300, 1e-300)])
def test_of_two_classes_whose_odds_are_beyond_float64(totals):
    with np.errstate(all="raise"):
        z = FocalLoss(0.0).optimal_scores(totals)
    assert_allclose(z, np.sign(totals[1] - 1.0) * 600 * np.log(10), rtol=1e-12)
    assert np.isfinite(FocalLoss(2.0).optimal_scores(totals))


def test_of_a_thousand_classes():
    totals = np.r_[999.0, np.ones(999)]
    z = FocalLoss(11.5).optimal_scores(totals)
    assert_allclose(np.exp(z).sum(), 1.0, rtol=1e-12)
    gradient = FocalLoss(11.5).gradient(np.arange(1000), np.tile(z, (1000, 1)), totals / 1998).sum(axis=0)
    assert_allclose(gradient, 0.0, atol=1e-14)


@pytest.mark.parametrize("alpha", [(1e150, 1.0, 1e-150), (1e-300, 1.0, 1e-300)], ids=str)
@pytest.mark.parametrize("gamma", [0.0, 0.5, 2.0, 100.0])
def test_of_classes_whose_weights_differ_by_hundreds_of_digits(gamma, alpha):
    with np.errstate(all="raise"):
        z = FocalLoss(gamma, alpha).optimal_scores([1.0, 2.0, 3.0])
    assert_allclose(np.exp(z).sum(), 1.0, rtol=1e-12)
    assert_allclose(log_shares_with_optimum(z, [gamma] * 3, alpha), np.log([1 / 6, 1 / 3, 1 / 2]), atol=1e-9)


@pytest.mark.parametrize("gamma", [0.5, 1.0, 2.0])
def test_newtons_steps_find_them(gamma, monkeypatch):
    evaluations, log1p_gamma_p_r = [], binary.log1p_gamma_p_r

    def counted(*arguments):
        evaluations.append(arguments)
        return log1p_gamma_p_r(*arguments)

    monkeypatch.setattr(binary, "log1p_gamma_p_r", counted)
    FocalLoss(gamma).optimal_scores([70.0, 29.0, 1.0])
    # About ten constants, each with four to eight steps. Bisection would take fifty for each.
    assert len(evaluations) < 110
