"""Minimizes the linear model's objective to its gradient's tolerance. May import ``_objective``, ``_blas`` and SciPy.

SciPy's solvers stop where F no longer falls by more than its rounding, which may be far from where its gradient is 0.
Here the gradient decides: `minimize` goes on, with fresh memory and by Newton's method, until it is at most ``tol`` or
nothing gets any closer.

L1 is by orthants: where no coefficient changes its sign the penalty is linear, so L-BFGS-B has a smooth function and a
bound for each coefficient. A round ends at the optimum of its orthant; the next has the signs that lead on from there.
Splitting coefficients into a positive and a negative part needs no rounds, but twice the unknowns and a curvature that
does not see their common part; on ill-conditioned columns L-BFGS-B gets stuck there.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import optimize

from skfocal._kernels.blocks import Array
from skfocal.linear_model._blas import scipy_on_one_thread
from skfocal.linear_model._objective import LinearObjective

SOLVERS = ("lbfgs", "trust-krylov", "trust-exact")

WHITEN_EVERY = 10
"""Iterations of L-BFGS between two looks at the curvature, more for many columns and times the number of scores, whose
coupling L-BFGS has to learn between looks. Most problems are solved by then; on
columns of heavy tails, whose large values stop counting once they are fitted, the first look misleads."""

WHITEN_AT_ONCE = 100
"""Columns up to which the first look at the curvature comes before the first iteration: with more it costs as much as
several of them, and columns that hardly correlate do without."""

ROUNDING = 64 * np.finfo(float).eps
"""Relative change of F that its own rounding may make; as in scikit-learn."""

TRUST_REGION_TO = 1e-6
"""Norm of the gradient that the trust-region solvers are asked for at least. They judge a step by the decrease of F,
about the norm's square: below, that is rounding."""

NEWTON_STEPS = 20
"""Most of Newton's steps at a time. Two or three suffice but on separated rows, where each gains a digit in base e."""

MOST_PRODUCTS = 200
"""Most products with the Hessian for one of Newton's steps."""

STALLED = 2
"""Rounds that gain nothing after which no further one will."""

Callback = Callable[[optimize.OptimizeResult], None]


@dataclass(frozen=True)
class Point:
    """Unknowns, F there, the gradient of its smooth part, and that of F: with L1 the shortest of its subgradients.

    ``optimality`` is the gradient's largest entry by the scaled unknowns, 0 at an optimum, and ``size`` by these or the
    whitened ones, whichever is larger: directions in which F hardly changes are large only there.
    """

    x: Array
    value: float
    smooth: Array
    gradient: Array
    optimality: float
    size: float


def point_at(objective: LinearObjective, x: Array) -> Point:
    """F and its gradient at x."""
    return _point(objective, x, *objective(x))


def _point(objective: LinearObjective, x: Array, value: float, smooth: Array) -> Point:
    l1, gradient = objective.l1, smooth
    if l1 is not None:
        at_zero = np.sign(smooth) * np.maximum(np.abs(smooth) - l1, 0.0)
        value, gradient = value + float(l1 @ np.abs(x)), np.where(x == 0, at_zero, smooth + l1 * np.sign(x))
    optimality = float(np.abs(objective.unwhitened(gradient)).max())
    return Point(x, value, smooth, gradient, optimality, max(optimality, float(np.abs(gradient).max())))


def minimize(
    objective: LinearObjective, x: Array, solver: str, max_iter: int, tol: float, callback: Callback | None = None
) -> tuple[Point, int]:
    """Where the descent from x ends, with an optimality above ``tol`` if it got no further, and the iterations."""
    whitens = objective.can_be_whitened
    if whitens and objective.basis is None and (solver != "lbfgs" or objective.n_features <= WHITEN_AT_ONCE):
        x = objective.whiten_at(x)
    here, n_iter, stalled = point_at(objective, x), 0, 0
    best = here.size
    while not here.size <= tol and n_iter < max_iter and stalled < STALLED:
        before, most = here, max_iter - n_iter
        if solver == "lbfgs":
            if whitens:
                most = min(max(WHITEN_EVERY * objective.n_scores, objective.n_features // 10), most)
            here, steps = _lbfgs(objective, here, most, tol, callback)
        else:
            here, steps = _trust_region(objective, here, solver, most, tol, callback)
        n_iter += steps
        if steps < most:
            here, steps = _newton(objective, here, min(NEWTON_STEPS, max_iter - n_iter), tol, callback)
            n_iter += steps
        gained = before.value - here.value > ROUNDING * abs(before.value) or here.size < 0.9 * best
        stalled, best = 0 if gained else stalled + 1, min(best, here.size)
        if whitens and here.size > tol and n_iter < max_iter:
            here = point_at(objective, objective.whiten_at(here.x))
    return here, n_iter


def _lbfgs(
    objective: LinearObjective, here: Point, max_iter: int, tol: float, callback: Callback | None
) -> tuple[Point, int]:
    """L-BFGS-B, with L1 in one orthant."""
    l1 = objective.l1
    # 50 line-search steps rather than 20: the first step is from the origin, where the scaling knows least. Up to 100
    # curvature pairs rather than 10 halve the iterations on correlated columns; with many unknowns their products would
    # cost as much as X's. With bounds, SciPy's work for a pair is more, and 50 are faster than 30 and than 100.
    pairs = min(100 if l1 is None else 50, max(10, 200_000 // here.x.shape[0]))
    most = np.iinfo(np.int32).max
    options = {"maxiter": max_iter, "maxfun": most, "gtol": tol, "ftol": ROUNDING, "maxls": 50, "maxcor": pairs}
    keywords = {"jac": True, "method": "L-BFGS-B", "options": options, "callback": callback}
    if l1 is None:
        with scipy_on_one_thread():
            result = optimize.minimize(objective, here.x, **keywords)
        return _point(objective, result.x, float(result.fun), result.jac), int(result.nit)
    sign = np.where(here.x == 0, -np.sign(here.smooth), np.sign(here.x))
    slope = l1 * sign
    low, high = np.where(slope < 0, -np.inf, 0.0), np.where(slope > 0, np.inf, 0.0)
    low[l1 == 0], high[l1 == 0] = -np.inf, np.inf

    def in_orthant(x: Array) -> tuple[float, Array]:
        value, smooth = objective(x)
        return value + float(slope @ x), smooth + slope

    with scipy_on_one_thread():
        result = optimize.minimize(in_orthant, here.x, bounds=optimize.Bounds(low, high), **keywords)
    value = float(result.fun) - float(slope @ result.x)
    return _point(objective, result.x, value, result.jac - slope), int(result.nit)


def _trust_region(
    objective: LinearObjective, here: Point, solver: str, max_iter: int, tol: float, callback: Callback | None
) -> tuple[Point, int]:
    by_product = solver == "trust-krylov"
    keywords: dict[str, Any] = {"hessp": objective.hessian_product} if by_product else {"hess": objective.hessian}
    steps: list[Array] = []

    def record(intermediate_result: optimize.OptimizeResult) -> None:
        steps.append(intermediate_result.x.copy())
        if callback is not None:
            callback(intermediate_result)

    # trust-krylov multiplies memory that it has not filled yet by 0 before it writes there (scipy up to 1.18): the
    # result is right, but what chance left in that memory, NaN or a number near the largest, would warn.
    # trust-exact takes the root of a product that rounding has made negative (scipy 1.13), and fails by the NaN: it is
    # stopped there, and goes on from the last step by Newton's method.
    invalid: Any = "ignore" if by_product else "raise"
    try:
        with np.errstate(invalid=invalid, over="ignore" if by_product else None), scipy_on_one_thread():
            result = optimize.minimize(
                objective,
                here.x,
                jac=True,
                method=solver,
                options={"maxiter": max_iter, "gtol": max(tol, TRUST_REGION_TO)},
                callback=record,
                **keywords,
            )
    except FloatingPointError:
        return (point_at(objective, steps[-1]) if steps else here), len(steps)
    return _point(objective, result.x, float(result.fun), result.jac), int(result.nit)


def _newton(
    objective: LinearObjective, here: Point, most: int, tol: float, callback: Callback | None
) -> tuple[Point, int]:
    """Newton's steps while they lower the gradient, and F but for its rounding.

    With L1 they are in the coefficients that are not 0. A step that would change signs ends where the first of these
    coefficients is 0.
    """
    l1 = objective.l1
    for step in range(most):
        if here.size <= tol:
            return here, step
        free = np.ones(here.x.shape, bool) if l1 is None else (here.x != 0) | (l1 == 0)
        slope = np.where(free, here.gradient, 0.0)
        if l1 is not None and np.abs(slope).max() <= tol:
            return here, step  # what is left is for other coefficients to do
        move = _newton_direction(objective, here.x, slope, free)
        x, is_cut = here.x + move, False
        if l1 is not None:
            crosses = (l1 > 0) & (here.x * x < 0)
            share = np.divide(-here.x, move, out=np.full(x.shape, np.inf), where=crosses)
            is_cut = bool(crosses.any())
            if is_cut:
                x = np.where(share == share.min(), 0.0, here.x + share.min() * move)
        there = point_at(objective, x)
        lower = float(np.abs(there.gradient[free]).max()) < float(np.abs(slope).max())
        slack = ROUNDING * (abs(here.value) + objective.cancellation(here.x))
        if not (there.value <= here.value + slack and (lower or is_cut)):
            return here, step
        here = there
        if callback is not None:
            callback(optimize.OptimizeResult(x=here.x, fun=here.value))
    return here, most


def _newton_direction(objective: LinearObjective, x: Array, slope: Array, free: Array) -> Array:
    """Solves ``H move = -slope`` in the free unknowns by conjugate gradients, as far as H is positive there."""
    move, residual = np.zeros_like(x), -slope
    direction, square = residual, float(residual @ residual)
    # Solved to the square root of the gradient, Newton's steps converge superlinearly: Dembo & Steihaug 1983.
    enough = square * min(1e-4, float(np.sqrt(square)))
    for _ in range(min(4 * int(free.sum()), MOST_PRODUCTS)):
        product = np.where(free, objective.hessian_product(x, direction), 0.0)
        curvature = float(direction @ product)
        if curvature <= 0.0:
            break
        length = square / curvature
        move, residual = move + length * direction, residual - length * product
        square, last = float(residual @ residual), square
        if square <= enough:
            break
        direction = residual + (square / last) * direction
    return move
