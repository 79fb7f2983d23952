"""What the Keras tests share: the backend, PyTorch unless KERAS_BACKEND names another, and its autograd."""

import os

import numpy as np
import pytest

os.environ.setdefault("KERAS_BACKEND", "torch")


@pytest.fixture
def value_gradient():
    """A function: values of a loss without reduction and their sum's gradient by the scores, by the backend."""

    def on_jax(loss, y_true, y_pred):
        import jax

        loss.reduction = None
        gradient = jax.grad(lambda y_pred: loss(y_true, y_pred).sum())(y_pred)
        return np.asarray(loss(y_true, y_pred)), np.asarray(gradient)

    def on_torch(loss, y_true, y_pred):
        import keras

        loss.reduction = None
        scores = keras.ops.convert_to_tensor(y_pred).requires_grad_()
        values = loss(y_true, scores)
        values.sum().backward()
        return values.detach().numpy(), scores.grad.numpy()

    return on_jax if os.environ["KERAS_BACKEND"] == "jax" else on_torch


@pytest.fixture
def x64():
    """Permission of float64, for the test; the backend of which it has to be asked is JAX."""
    if os.environ["KERAS_BACKEND"] != "jax":
        yield
        return
    import jax

    with jax.enable_x64(True):
        yield
