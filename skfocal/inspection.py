"""Plots of the focal loss and of the distribution of a fitted model's loss over its rows. Needs the extra ``plot``.

May import ``_common``. matplotlib is imported when something is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skfocal._common.labels import index_labels
from skfocal._common.several_labels import refuse_several_labels
from skfocal._kernels.arguments import check_sample_weight, is_number
from skfocal._kernels.blocks import Array
from skfocal.loss import FocalLoss

__all__ = ["FocalLossCurve", "FocalLossDisplay"]

KINDS = {"loss": "FL", "gradient": "dFL/dz", "hessian": "d2FL/dz2"}
SCALES = {"p_t": "probability of the true class, p_t", "margin": "margin of the true class, log(p_t / (1 - p_t))"}

N_POINTS = 501
MAX_MARGIN = 8.0
"""At this score the sigmoid is within 4e-4 of 0 or 1, and the curves beyond it are straight."""


class FocalLossCurve(NamedTuple):
    """One curve of a `FocalLossDisplay`.

    Curves of the same class have the same ``color``. The curves of cross-entropy that are drawn for comparison are
    ``dashed``.
    """

    label: str
    x: Array
    y: Array
    color: int
    dashed: bool


class FocalLossDisplay:
    """Curves of the focal loss.

    Use `from_params` to draw the loss as a function. Use `from_estimator` to draw how the loss of a fitted model is
    distributed over its rows. Both methods compute the curves, draw them and return the display. `plot` draws the
    curves again.

    Parameters
    ----------
    curves : list of FocalLossCurve
        Curves to draw.
    xlabel, ylabel : str
        Labels of the axes.
    mark_negative : bool, default=False
        Whether to shade the area below 0.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Axes with the curves.
    figure_ : matplotlib Figure
        Figure that contains the axes.
    lines_ : list of matplotlib Line2D
        One line per curve, in the order of ``curves``.

    Examples
    --------
    >>> from skfocal.inspection import FocalLossDisplay
    >>> display = FocalLossDisplay.from_params(gammas=[0.0, 2.0])
    >>> [line.get_label() for line in display.lines_]
    ['gamma 0', 'gamma 2']
    """

    ax_: Any
    figure_: Any
    lines_: list[Any]

    def __init__(
        self, curves: Sequence[FocalLossCurve], *, xlabel: str, ylabel: str, mark_negative: bool = False
    ) -> None:
        self.curves = list(curves)
        self.xlabel = xlabel
        self.ylabel = ylabel
        self.mark_negative = mark_negative

    @classmethod
    def from_params(
        cls,
        gammas: Any = (0.0, 0.5, 1.0, 2.0, 5.0),
        alpha: Any = None,
        *,
        kind: Literal["loss", "gradient", "hessian"] = "loss",
        against: Literal["p_t", "margin"] = "p_t",
        ax: Any = None,
    ) -> FocalLossDisplay:
        """Draw the loss of a row of the positive class, or its derivative with respect to the raw score.

        Parameters
        ----------
        gammas : float or sequence of floats, default=(0, 0.5, 1, 2, 5)
            Focusing parameters, from 0 to 100. Each has a curve.
        alpha : float, sequence of 2 floats or None, default=None
            Class weights as in `skfocal.FocalLoss`. Only the weight of class 1 has an effect here.
        kind : {"loss", "gradient", "hessian"}, default="loss"
            Function to draw: the loss, or its first or second derivative. The negative part of a second derivative is
            shaded.
        against : {"p_t", "margin"}, default="p_t"
            Quantity on the horizontal axis: the probability of the true class, or its raw score.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        FocalLossDisplay

        Raises
        ------
        ValueError, TypeError
            If a parameter is not as described here.
        ImportError
            If matplotlib is not installed.

        References
        ----------
        Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017, figures 1 and 5 to 7,
        https://arxiv.org/abs/1708.02002
        """
        _check_choice("kind", kind, KINDS)
        _check_choice("against", against, SCALES)
        legal = f"gammas must be a number >= 0 or a sequence of them, got {gammas!r}"
        if not is_number(gammas) and (isinstance(gammas, (str, bytes)) or not isinstance(gammas, Iterable)):
            raise TypeError(legal)
        values = [gammas] if is_number(gammas) else list(gammas)
        if not all(is_number(gamma) for gamma in values):
            raise TypeError(legal)
        if not values or not all(np.isfinite(gamma) and gamma >= 0 for gamma in values):
            raise ValueError(legal)
        if against == "p_t":
            x = (np.arange(N_POINTS) + 0.5) / N_POINTS
            margin = np.log(x) - np.log1p(-x)
        else:
            x = margin = np.linspace(-MAX_MARGIN, MAX_MARGIN, N_POINTS)
        ones = np.ones(N_POINTS, dtype=np.intp)
        curves = []
        for i, gamma in enumerate(values):
            loss = FocalLoss(gamma, alpha)
            y = loss.loss(ones, margin) if kind == "loss" else loss.gradient_hessian(ones, margin)[kind == "hessian"]
            curves.append(FocalLossCurve(f"gamma {gamma:g}", x, y, i, False))
        display = cls(curves, xlabel=SCALES[against], ylabel=KINDS[kind], mark_negative=kind == "hessian")
        return display.plot(ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: ArrayLike,
        *,
        gamma: Any = None,
        sample_weight: ArrayLike | None = None,
        ax: Any = None,
    ) -> FocalLossDisplay:
        """Draw how much of the loss of a class comes from its hardest rows.

        A point at (0.1, 0.9) means that the tenth of the class's rows with the largest loss has nine tenths of the loss
        of the class. The dashed curve shows the same for the cross-entropy of the same scores. The distance between the
        two curves is the effect of gamma. Class weights have no effect, because each curve belongs to one class.

        Parameters
        ----------
        estimator : fitted classifier with ``decision_function`` and ``classes_``
            A pipeline or a search whose final estimator is such a classifier is accepted, too.
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            True labels. No curve is drawn for a class without rows.
        gamma : float or sequence of floats, default=None
            Focusing parameter of the loss. None: gamma of the estimator's ``focal_loss_``.
        sample_weight : array-like of shape (n_samples,), default=None
            A row of weight 2 counts as two rows.
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        FocalLossDisplay

        Raises
        ------
        ValueError, TypeError
            If a parameter is not as described here.
        ImportError
            If matplotlib is not installed.

        References
        ----------
        Lin, Goyal, Girshick, He, Dollar: Focal Loss for Dense Object Detection, ICCV 2017, figure 4,
        https://arxiv.org/abs/1708.02002

        Examples
        --------
        >>> from sklearn.datasets import load_breast_cancer
        >>> from skfocal.inspection import FocalLossDisplay
        >>> from skfocal.linear_model import FocalLogisticRegression
        >>> X, y = load_breast_cancer(return_X_y=True)
        >>> clf = FocalLogisticRegression(focal_gamma=2.0).fit(X, y)
        >>> display = FocalLossDisplay.from_estimator(clf, X, y)
        >>> display.curves[0].label
        'class 0, gamma 2'
        """
        check_is_fitted(estimator)
        if not hasattr(estimator, "decision_function"):
            raise TypeError(
                f"estimator must have a decision_function, got {type(estimator).__name__}: the focal loss is of raw "
                "scores, not of probabilities"
            )
        loss = _fitted_loss(estimator) if gamma is None else FocalLoss(gamma)
        if loss is None:
            raise ValueError(
                f"gamma must be a number >= 0 or one per class for an estimator without focal_loss_, got None for "
                f"{type(estimator).__name__}"
            )
        refuse_several_labels(y)
        classes = np.asarray(estimator.classes_)
        raw = np.asarray(estimator.decision_function(X), dtype=np.float64)
        indices = index_labels(y, classes, "y")
        checked = check_sample_weight(sample_weight, indices.shape[0], np.float64)
        weight = np.ones(indices.shape[0]) if checked is None else checked
        gammas = loss.gamma_per_class(classes.shape[0])
        losses = FocalLoss(loss.gamma).loss(indices, raw), FocalLoss(0.0).loss(indices, raw)
        curves = []
        for k, label in enumerate(classes.tolist()):
            rows = (indices == k) & (weight > 0)
            if not rows.any():
                continue
            for rows_loss, name in zip(losses, (f"gamma {gammas[k]:g}", "cross-entropy"), strict=True):
                x, share = _share_of_the_hardest(rows_loss[rows], weight[rows])
                curves.append(FocalLossCurve(f"class {label}, {name}", x, share, k, name == "cross-entropy"))
        display = cls(
            curves, xlabel="share of the class's rows, hardest first", ylabel="share of the class's loss they carry"
        )
        return display.plot(ax=ax)

    def plot(self, ax: Any = None) -> FocalLossDisplay:
        """Draw the curves.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. None creates a new figure.

        Returns
        -------
        FocalLossDisplay
            This display, with ``ax_``, ``figure_`` and ``lines_`` set.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        """
        try:
            import matplotlib.pyplot as plt
        except ImportError as error:
            raise ImportError('FocalLossDisplay needs matplotlib: python -m pip install "skfocal[plot]"') from error
        if ax is None:
            _, ax = plt.subplots()
        self.lines_ = []
        for curve in self.curves:
            color, style = f"C{curve.color % 10}", "--" if curve.dashed else "-"
            self.lines_ += ax.plot(curve.x, curve.y, color=color, linestyle=style, label=curve.label)
            if self.mark_negative:
                ax.fill_between(curve.x, curve.y, 0.0, where=curve.y < 0, color=color, alpha=0.2, linewidth=0)
        if self.mark_negative:
            ax.axhline(0.0, color="0.4", linewidth=0.8)
        ax.set(xlabel=self.xlabel, ylabel=self.ylabel)
        ax.legend(frameon=False)
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _check_choice(name: str, value: Any, legal: dict[str, str]) -> None:
    if not (isinstance(value, str) and value in legal):
        raise ValueError(f"{name} must be {' or '.join(map(repr, legal))}, got {value!r}")


def _fitted_loss(estimator: Any) -> FocalLoss | None:
    """``focal_loss_`` of an estimator, of the best estimator of a search, or of the last step of a pipeline."""
    if hasattr(estimator, "best_estimator_"):
        return _fitted_loss(estimator.best_estimator_)
    if hasattr(estimator, "steps"):
        return _fitted_loss(estimator.steps[-1][1])
    loss: FocalLoss | None = getattr(estimator, "focal_loss_", None)
    return loss


def _share_of_the_hardest(loss: Array, weight: Array) -> tuple[Array, Array]:
    """Cumulative share of the rows and of their loss, hardest first, (n + 1,) both, from 0 to 1."""
    order = np.argsort(-loss, kind="stable")
    rows = np.concatenate([[0.0], np.cumsum(weight[order])])
    carried = np.concatenate([[0.0], np.cumsum((weight * loss)[order])])
    # If the loss is 0 everywhere, every row has the same share.
    share = carried / carried[-1] if carried[-1] > 0 else rows / rows[-1]
    return rows / rows[-1], share
