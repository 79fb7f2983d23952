"""Minimizes the objective of the linear model until its gradient is within the tolerance. May import ``_objective``,
``_blas`` and SciPy.

SciPy's solvers stop when F no longer decreases by more than its rounding error. The gradient can still be large there.
`minimize` continues, with a new L-BFGS memory and with Newton's method, until the gradient is at most ``tol`` or there
is no more progress.

L1 is solved orthant by orthant. As long as no coefficient changes its sign, the penalty is linear, so L-BFGS-B gets a
smooth function and a bound for each coefficient. A round ends at the optimum of its orthant, and the gradient there
determines the next orthant. The alternative, to split coefficients into a positive and a negative part, needs no
rounds, but it has twice the unknowns and a curvature that ignores the common part of the two. L-BFGS-B makes no
progress with it on ill-conditioned columns.
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
"""Iterations of L-BFGS between two computations of the curvature. There are more for many columns, and the number is
multiplied by the number of scores, because L-BFGS has to learn their coupling in between. Most problems are solved
within these iterations. On columns with heavy tails, the large values lose their influence once they are fitted, so
that the first curvature is misleading."""

WHITEN_AT_ONCE = 100
"""Maximum number of columns for which the curvature is computed before the first iteration. With more columns it costs
as much as several iterations, and columns with little correlation do not need it."""

ROUNDING = 64 * np.finfo(float).eps
"""Relative change of F that can be caused by rounding, as in scikit-learn."""

TRUST_REGION_TO = 1e-6
"""Smallest gradient norm that the trust-region solvers are asked for. They judge a step by the decrease of F, which is
about the square of the norm and disappears in the rounding error below this value."""

NEWTON_STEPS = 20
"""Maximum number of consecutive Newton steps. Two or three are enough, except for separated rows, where each step
reduces the gradient by a factor of e."""

MOST_PRODUCTS = 200
"""Maximum number of products with the Hessian in one Newton step."""

STALLED = 2
"""Number of rounds without progress after which the solver stops."""

Callback = Callable[[optimize.OptimizeResult], None]


@dataclass(frozen=True)
class Point:
    """Unknowns, the value of F, the gradient of its smooth part, and the gradient of F (with L1 its shortest
    subgradient).

    ``optimality`` is the largest absolute entry of the gradient with respect to the scaled unknowns, 0 at an optimum.
    ``size`` is the larger of this and the same for the whitened unknowns, because directions in which F hardly changes
    are visible only there.
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
    """The point at which the descent from x ends, and the iterations. Its optimality is above ``tol`` if there was no
    more progress.
    """
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
    """Run L-BFGS-B, with L1 inside one orthant."""
    l1 = objective.l1
    # 50 line-search steps instead of 20, because the first step starts at the origin, where the scaling is least
    # accurate. Up to 100 curvature pairs instead of 10 halve the iterations on correlated columns; with many unknowns
    # their products would cost as much as those of X. With bounds a pair costs SciPy more, and 50 pairs are faster than
    # 30 and 100.
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

    # trust-krylov multiplies uninitialized memory by 0 before it writes to it (scipy up to 1.18). The result is right,
    # but NaN or a huge number in that memory would cause a warning. trust-exact takes the root of a product that
    # rounding can make negative (scipy 1.13), and fails with NaN. It is stopped there, and Newton's method continues
    # from the last step.
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
    """Newton steps, as long as they decrease the gradient and, up to rounding, F.

    With L1 they change only the coefficients that are not 0. A step that would change a sign ends where the first
    coefficient reaches 0.
    """
    l1 = objective.l1
    for step in range(most):
        if here.size <= tol:
            return here, step
        free = np.ones(here.x.shape, bool) if l1 is None else (here.x != 0) | (l1 == 0)
        slope = np.where(free, here.gradient, 0.0)
        if l1 is not None and np.abs(slope).max() <= tol:
            return here, step  # only the other coefficients can improve F further
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
    """Solve ``H move = -slope`` in the free unknowns by conjugate gradients. Stops where H has no positive
    curvature.
    """
    move, residual = np.zeros_like(x), -slope
    direction, square = residual, float(residual @ residual)
    # If the system is solved to the square root of the gradient, Newton's method converges superlinearly: Dembo &
    # Steihaug 1983.
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
