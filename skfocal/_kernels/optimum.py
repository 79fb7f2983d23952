"""The constant scores that minimize the focal loss. Letters as in ``binary`` and ``softmax``.

The last results are kept, because a fit needs the same optimum several times, and so do the fits of a grid search.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy.optimize import brentq

from skfocal._kernels.binary import log1p_gamma_p_r, posterior_logit
from skfocal._kernels.blocks import Array


@lru_cache(maxsize=64)
def binary(log_odds: float, gamma_negative: float, gamma_positive: float, log_alpha_ratio: float) -> float:
    """Score whose probability, corrected for gamma and the class weights, has these log-odds."""
    gamma = max(gamma_negative, gamma_positive)
    if gamma == 0.0:
        return log_odds + log_alpha_ratio

    def off_target(z: float) -> float:
        logit = posterior_logit(np.array([z]), gamma_negative, gamma_positive, log_alpha_ratio)
        return float(logit[0]) - log_odds

    # For z > 0: log1p(gamma*q*r) >= 0, p*r <= 1 and log p >= -log 2, so the logit exceeds
    # (1+gamma)*z - log1p(gamma) - gamma*log 2 - log_alpha_ratio; likewise for z < 0. This encloses the root.
    reach = abs(log_odds) + abs(log_alpha_ratio) + np.log1p(gamma) + gamma * np.log(2) + 1.0
    return float(brentq(off_target, -reach, reach, xtol=1e-15, rtol=4 * np.finfo(float).eps))


def multiclass(log_share: Array, gamma: Array, log_alpha: Array) -> Array:
    """Log-probabilities whose posterior, corrected for the class weights, equals the class shares.

    With ``phi(p) = p / (q**gamma * (1 + gamma*p*r))`` the posterior of class k is ``phi_k(p_k) / alpha_k`` over
    their sum. Each phi_k is strictly increasing: with ``p = sigmoid(x)`` the derivative of its logarithm by x is
    ``(q + 2*gamma*p + gamma*(gamma-1)*p**2*r) / (1 + gamma*p*r) > 0``. So for each constant c there is one p_k with
    ``log phi_k(p_k) = c + log share_k + log alpha_k``, and one c where the p_k sum to 1.
    """
    return np.array(_multiclass(*(tuple(a.tolist()) for a in (log_share + log_alpha, gamma))))


@lru_cache(maxsize=64)
def _multiclass(target_of_class: tuple[float, ...], gamma_of_class: tuple[float, ...]) -> Array:
    target, gamma = np.array(target_of_class), np.array(gamma_of_class)
    if not gamma.any():
        log_p_direct: Array = target - np.logaddexp.reduce(target)
        return log_p_direct

    def log_phi(logit: Array) -> tuple[Array, Array]:
        """Its values and derivatives."""
        log_p, log_q = -np.logaddexp(0.0, -logit), -np.logaddexp(0.0, logit)
        p, q = np.exp(log_p), np.exp(log_q)
        log1p_part = log1p_gamma_p_r(gamma, p, log_p, q, np.empty_like(p))
        gamma_p_r = np.expm1(log1p_part)
        slope = (q + 2.0 * gamma * p + (gamma - 1.0) * p * gamma_p_r) / (1.0 + gamma_p_r)
        return log_p - gamma * log_q - log1p_part, slope

    def log_p(c: float) -> Array:
        # exp(-700) is still a normal number; beyond +-700 p is 0 or 1 to the last digit.
        low, high = np.full_like(target, -700.0), np.full_like(target, 700.0)
        logit = np.clip(c + target, low, high)
        for _ in range(64):
            value, slope = log_phi(logit)
            too_low = value < c + target
            low, high = np.where(too_low, logit, low), np.where(too_low, high, logit)
            # A Newton step, or a bisection step if Newton's step leaves the bracket.
            new = logit - np.divide(value - (c + target), slope, out=np.full_like(logit, np.inf), where=slope > 0.0)
            new = np.where((low <= new) & (new <= high), new, 0.5 * (low + high))
            logit, moved = new, np.abs(new - logit)
            if (moved <= 1e-15 * (1.0 + np.abs(logit))).all():
                break
        result: Array = -np.logaddexp(0.0, -logit)
        return result

    # phi(p) >= p/(1+gamma) * (1-p)**0 at small p and p = 1 - 1/K at most is asked of any class.
    reach = float(np.abs(target).max() + (1.0 + gamma.max()) * np.log(10.0 * target.shape[0]) + 50.0)
    c = brentq(lambda c: float(np.logaddexp.reduce(log_p(c))), -reach, reach, xtol=1e-14)
    scores = log_p(c)
    result: Array = scores - np.logaddexp.reduce(scores)
    return result
