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
    """A shallow copy, made in one step, so that another thread cannot change the copy by changing the original."""
    copy = object.__new__(type(estimator))
    copy.__dict__ = vars(estimator).copy()
    return copy


@contextmanager
def learning(estimator: Any) -> Iterator[Any]:
    """A copy of the estimator to fit. The learned attributes are assigned to the estimator at the end, in one step.

    If the fit raises an error or is interrupted, the estimator is unchanged. During the fit, callbacks, other threads,
    pickles and clones see the unchanged estimator, too. Constructor parameters that are set on the copy for a parent's
    ``fit`` are not assigned to the estimator.
    """
    before = vars(estimator).copy()
    copy = snapshot(estimator)
    yield copy
    parameters, after = estimator._get_param_names(), vars(copy)
    # Attributes of the last fit that this fit did not change belong to this model as well, because another thread may
    # have assigned its own in the meantime.
    learned = {
        name: value
        for name, value in after.items()
        if name not in parameters
        and (name not in before or before[name] is not value or name in before.get(LEARNED, ()))
    }
    learned[LEARNED] = tuple(sorted(learned))  # a set is pickled in an order that changes from process to process
    # Replaced attributes must not be freed before the assignment, because freeing a booster runs Python code.
    current = vars(estimator).copy()
    forgotten = (before.keys() - after.keys()) | (set(current.get(LEARNED, ())) - learned.keys())
    estimator.__dict__ = {name: value for name, value in current.items() if name not in forgotten} | learned


def undisturbed(method: Method) -> Method:
    """Decorator: the method works on a `snapshot`, so that a fit in another thread does not affect it."""

    @wraps(method)
    def on_a_snapshot(self: Any, *args: Any, **kwargs: Any) -> Any:
        return method(snapshot(self), *args, **kwargs)

    return on_a_snapshot  # type: ignore[return-value]
