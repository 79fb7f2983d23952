"""Fits that leave no half-written estimator, and predictions that see none. Imports nothing of the package."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, TypeVar

Estimator = TypeVar("Estimator")
Method = TypeVar("Method", bound=Callable[..., Any])


LEARNED = "_learned"
"""Attribute with the names of the attributes that the last fit assigned."""


def snapshot(estimator: Estimator) -> Estimator:
    """A shallow copy, made in one step: whatever another thread does to the original, it stays as it is."""
    copy = object.__new__(type(estimator))
    copy.__dict__ = vars(estimator).copy()
    return copy


@contextmanager
def learning(estimator: Any) -> Iterator[Any]:
    """A copy of the estimator to fit. What it has learned becomes the estimator's at the end, in one assignment.

    If the fit raises or is interrupted, the estimator is what it was before. Meanwhile callbacks, other threads and
    whoever pickles or clones the estimator see it as it was, too. Constructor parameters that are set on the copy,
    as a parent's ``fit`` may need them, stay on the copy.
    """
    before = vars(estimator).copy()
    copy = snapshot(estimator)
    yield copy
    parameters, after = estimator._get_param_names(), vars(copy)
    # What the last fit learned and this one did not change belongs to this model as well: another thread may have
    # published its own in between.
    learned = {
        name: value
        for name, value in after.items()
        if name not in parameters
        and (name not in before or before[name] is not value or name in before.get(LEARNED, ()))
    }
    learned[LEARNED] = tuple(sorted(learned))  # a set is pickled in an order that changes from process to process
    # What is replaced must not be freed before the assignment: that of a booster runs Python code.
    current = vars(estimator).copy()
    forgotten = (before.keys() - after.keys()) | (set(current.get(LEARNED, ())) - learned.keys())
    estimator.__dict__ = {name: value for name, value in current.items() if name not in forgotten} | learned


def undisturbed(method: Method) -> Method:
    """Decorator: the method works on a `snapshot`, so that a fit in another thread changes nothing under it."""

    @wraps(method)
    def on_a_snapshot(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(snapshot(self), *args, **kwargs)

    return on_a_snapshot  # type: ignore[return-value]
