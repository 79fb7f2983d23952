"""Rows are computed in blocks, on one thread or several; no result depends on where a block ends."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skfocal import FocalLoss, _kernels
from skfocal._kernels import binary, blocks, softmax

ROWS = 1500
PART = slice(700, 811)


@pytest.fixture(params=["C", "NumPy"], autouse=True)
def small_blocks(request, monkeypatch):
    """Blocks of 256 rows at least, so that few rows need several."""
    if request.param == "C":
        request.getfixturevalue("compiled")
    else:
        monkeypatch.setattr(_kernels, "compiled", None)
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 256)


def arguments(n_scores, per_row):
    rng = np.random.default_rng(n_scores)
    y = rng.integers(max(2, n_scores), size=ROWS)
    raw = 3 * rng.normal(size=ROWS if n_scores == 1 else (ROWS, n_scores))
    weight, gamma = (rng.uniform(0.1, 2, ROWS), rng.uniform(0.0, 3.0, ROWS)) if per_row else (None, 1.3)
    return raw, 1.0 - 2.0 * y if n_scores == 1 else y, weight, gamma


def direction(raw):
    return np.sin(raw[:, ::-1])


FUNCTIONS = {
    "binary.loss": (1, binary.loss),
    "binary.loss_gradient": (1, binary.loss_gradient),
    "binary.gradient_hessian": (1, binary.gradient_hessian),
    "softmax.loss": (3, softmax.loss),
    "softmax.loss_gradient": (3, softmax.loss_gradient),
    "softmax.gradient_hessian": (3, softmax.gradient_hessian),
    "softmax.hessian_matrix": (3, softmax.hessian_matrix),
    "softmax.hessian_product": (3, lambda raw, *rest: softmax.hessian_product(raw, *rest, direction(raw))),
    "binary.posterior_logit": (1, lambda raw, *rest: binary.posterior_logit(raw, 2.0, 0.5, 0.3)),
    "softmax.log_posterior": (3, lambda raw, *rest: softmax.log_posterior(raw, np.array([2.0, 0.5, 1.0]), None)),
}


@pytest.mark.parametrize("per_row", [False, True], ids=["one gamma", "gammas and weights"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_of_a_middle_block_have_the_results_that_they_have_alone(name, per_row):
    n_scores, run = FUNCTIONS[name]
    given = arguments(n_scores, per_row)
    whole, alone = run(*given), run(*(a[PART] if isinstance(a, np.ndarray) else a for a in given))
    if not isinstance(whole, tuple):
        whole, alone = (whole,), (alone,)
    for a, b in zip(whole, alone, strict=True):
        assert a.shape[0] == ROWS
        assert_allclose(a[PART], b, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("n_scores", [1, 3])
def test_the_loss_object_cuts_labels_and_weights_as_it_cuts_scores(n_scores):
    raw, y, weight, _ = arguments(n_scores, True)
    y = ((1.0 - y) / 2.0).astype(int) if n_scores == 1 else y
    loss = FocalLoss(1.3, (0.3, 2.0) if n_scores == 1 else (0.3, 2.0, 1.0))
    alone = loss.gradient_hessian(y[PART], raw[PART], weight[PART])
    for a, b in zip(loss.gradient_hessian(y, raw, weight), alone, strict=True):
        assert_allclose(a[PART], b, rtol=1e-12, atol=1e-15)
    data = FocalLoss((0.5, 2.0) if n_scores == 1 else (0.5, 2.0, 1.0)).on(y, n_scores, weight)
    part = data.part(PART.start, PART.stop)
    assert_array_equal(part.weight, weight[PART])
    assert_array_equal(part.gamma, data.gamma[PART])
    assert_allclose(part.loss(raw[PART]), data.loss(raw)[PART], rtol=1e-12)
