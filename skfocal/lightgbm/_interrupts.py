"""Boosters whose model can be replaced while signals arrive. May import LightGBM.

``Booster.model_from_string`` frees the old model before it reads the new one. An interrupt (Ctrl-C) that arrives
meanwhile leaves the address of freed memory, which is freed again with the booster, and that ends the process.
``lightgbm.train`` calls the method at its end, and a fit of ours needs it once more.
"""

from __future__ import annotations

from typing import Any

import lightgbm as lgb


def set_model(booster: lgb.Booster, text: str) -> None:
    """Give the booster the model of this text.

    The addresses are exchanged between two function calls, where Python handles no signal. If a release of LightGBM has
    no such attribute, its own method is called.
    """
    if not hasattr(booster, "_handle"):
        lgb.Booster.model_from_string(booster, text)
        return
    other = lgb.Booster(model_str=text)
    booster._handle, other._handle = other._handle, booster._handle
    booster.pandas_categorical = other.pandas_categorical  # as the text has them


class BoosterInTraining(lgb.Booster):
    """The booster of a fit. Its pickles are those of ``Booster``."""

    def model_from_string(self, model_str: str) -> BoosterInTraining:
        set_model(self, model_str)
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return object.__new__, (lgb.Booster,), self.__getstate__()


def train_safely(env: Any) -> None:
    """LightGBM's callback that makes the booster a `BoosterInTraining`."""
    if type(env.model) is lgb.Booster:
        env.model.__class__ = BoosterInTraining


train_safely.before_iteration = True  # type: ignore[attr-defined]
train_safely.order = -1  # type: ignore[attr-defined]


def after_training(booster: lgb.Booster) -> None:
    """Make the booster LightGBM's own again."""
    if type(booster) is BoosterInTraining:
        booster.__class__ = lgb.Booster
