"""Run cases of ``test_nasty_inputs.py``, and print a line of JSON for each: ``python nasty_inputs CLASS GROUP ...``."""

import importlib
import json
import sys
import warnings
from functools import partial
from typing import Any

import arguments
import data
import numpy as np
import uses

FAST: dict[str, dict[str, Any]] = {
    "FocalLogisticRegression": {},
    "FocalTemperatureScaling": {"cv": 2},
    "FocalHistGradientBoostingClassifier": {"max_iter": 5},
    "FocalLGBMClassifier": {"n_estimators": 5, "verbosity": -1, "n_jobs": 1},
    "FocalXGBClassifier": {"n_estimators": 5, "n_jobs": 1},
}
GROUPS = {
    group.__name__: group
    for group in (
        *(data.rows, data.values, data.dtypes, data.sparse, data.frames),
        *(arguments.labels, arguments.weights, arguments.parameters),
        *(uses.predictions, uses.evaluation_sets),
    )
}


PARENT_ENDS_THE_PROCESS = {("FocalLGBMClassifier", "frames", "polars, words")}
"""LightGBM 4.6 and 4.7: an error of its reader of Arrow goes through C."""


def parent_of(name):
    import skfocal

    if name == "FocalLogisticRegression":
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression
    return next(base for base in getattr(skfocal, name).__mro__ if base.__name__ == name.removeprefix("Focal"))


def makers(name):
    """What makes our estimator and its parent, of parameters."""
    import skfocal

    if name == "FocalTemperatureScaling":
        from sklearn.calibration import CalibratedClassifierCV
        from sklearn.linear_model import LogisticRegression

        pair = importlib.import_module("skfocal.calibration").FocalTemperatureScaling, CalibratedClassifierCV
        return [partial(cls, LogisticRegression()) for cls in pair]
    return getattr(skfocal, name), parent_of(name)


def parameters_of(name, given, known):
    """Of a case, under the class's own names; None if it does not have them."""
    given, optional = dict(given), ("enable_categorical", "max_leaf_nodes", "num_leaves", "max_depth")
    if "n_estimators" in given and "max_iter" in known and "n_estimators" not in known:
        if name == "FocalLogisticRegression":
            return None
        given["max_iter"] = given.pop("n_estimators")
    given = {key: value for key, value in given.items() if key not in optional or key in known}
    if name == "FocalXGBClassifier" and "max_leaf_nodes" in given:
        return None
    return given if set(given) <= set(known) else None


def keywords_of(name, case):
    if case.held_out is None:
        return case.keywords
    if name == "FocalHistGradientBoostingClassifier":
        return {"X_val": case.held_out[0], "y_val": case.held_out[1]}
    return {"eval_set": [case.held_out]} | ({"verbose": False} if name == "FocalXGBClassifier" else {})


def run_one(make, case, parameters, keywords, floor):
    """ "ok", "refused: ..." or what is wrong; ``floor`` is a loss above which no model is sensible."""
    try:
        clf = make(**parameters).fit(case.X, case.y, **keywords)
        at = case.X if case.at is None else case.at
        at = at.collect() if hasattr(at, "collect") else at
        proba, decided = clf.predict_proba(at), clf.predict(at)
    except (ValueError, TypeError) as error:
        return f"refused: {error}"
    except Exception as error:
        return f"raised {type(error).__name__}: {error}"
    n = at.shape[0] if hasattr(at, "shape") else len(at) if hasattr(at, "__len__") else "no rows"
    if np.ndim(case.y) == 2 and np.shape(case.y)[1] > 1:
        return of_labels(proba, decided, np.asarray(case.y))
    if proba.shape != (n, len(clf.classes_)) or np.shape(decided) != (n,):
        return f"wrong shapes {proba.shape} {np.shape(decided)}"
    if not np.isfinite(proba).all() or (np.abs(proba.sum(axis=1) - 1) > 1e-5).any():
        return "probabilities that are not"
    if not set(np.asarray(decided).tolist()) <= set(np.asarray(clf.classes_).tolist()):
        return "labels that are not of classes_"
    if case.at is not None:
        return "ok"
    if case.plain is not None:
        plain = make(**parameters).fit(case.plain, case.y, **keywords).predict_proba(case.plain)
        if not np.allclose(proba, plain, rtol=0, atol=1e-5):
            return f"another model than that of the same numbers, by {np.abs(proba - plain).max():.2g}"
    return compared(proba, clf.classes_, case, parameters.get("focal_alpha"), parameters.get("calibration"), floor)


def of_labels(proba, decided, y):
    """ "ok" or what is wrong with the probabilities and decisions of several labels per row."""
    if proba.shape != y.shape or np.shape(decided) != y.shape:
        return f"wrong shapes {proba.shape} {np.shape(decided)}"
    if not (np.isfinite(proba).all() and proba.min() >= 0 and proba.max() <= 1):
        return "probabilities that are not"
    if not np.isin(decided, [0, 1]).all():
        return "labels that are neither 0 nor 1"
    loss, prior = (
        -np.mean(np.log(np.maximum(np.where(y == 1, p, 1.0 - p), 1e-300)))
        for p in (proba.astype(float), np.broadcast_to(y.mean(axis=0), y.shape))
    )
    return "ok" if loss <= prior + 1e-6 else f"worse than the prior: {loss:.4g} for {prior:.4g}"


def compared(proba, classes, case, alpha, calibration, floor):
    """ "ok" or by what the log loss on the training data is worse than that of the class shares."""
    n, index = len(proba), {label: k for k, label in enumerate(np.asarray(classes).tolist())}
    y = np.array([index[label] for label in np.asarray(case.y).ravel().tolist()])
    given = case.keywords.get("sample_weight", 1.0)
    weight = np.ones(n) * (np.asarray(given, dtype=float).ravel() if np.size(given) else 1.0)
    if alpha is not None and calibration == "focus":
        # The probabilities of data in which rows count so.
        weight = weight * np.array(alpha)[y]
    if weight.sum() == 0:
        return "fitted without a weight"
    loss = -np.average(np.log(np.maximum(proba[np.arange(n), y], 1e-300)), weights=weight)
    shares = np.bincount(y, weights=weight) / weight.sum()
    prior = -np.average(np.log(np.maximum(shares[y], 1e-300)), weights=weight)
    return (
        "ok"
        if loss <= max(prior, floor * np.log(len(classes))) + 1e-6
        else f"worse than the prior: {loss:.4g} for {prior:.4g}"
    )


def main(name, *groups):
    warnings.simplefilter("ignore")
    ours, theirs = makers(name)
    known = ours().get_params()
    # A temperature has no intercept: the least that it knows are even shares.
    floor = 1.0 if name == "FocalTemperatureScaling" else 0.0
    for group in groups:
        for case in GROUPS[group]():
            given = parameters_of(name, case.parameters, known)
            is_large = getattr(case.X, "shape", (0,))[:1] > (1000,)
            if given is None or (is_large and name == "FocalTemperatureScaling"):  # that is for its estimator
                continue
            parameters, keywords = {**FAST[name], **given}, keywords_of(name, case)
            line = {"group": group, "case": case.label}
            print(json.dumps(line | {"begins": True}), flush=True)
            outcomes = {"ours": run_one(ours, case, parameters, keywords, floor), "theirs": ""}
            asked = (name, group, case.label) not in PARENT_ENDS_THE_PROCESS
            if asked and not any(key.startswith("focal") for key in given):
                outcomes["theirs"] = run_one(theirs, case, parameters, keywords, floor)
            print(json.dumps(line | outcomes), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], *(sys.argv[2:] or GROUPS))
