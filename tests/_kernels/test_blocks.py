"""Rows are computed in blocks, on one thread or several; no result depends on where a block ends."""

import _thread
import threading

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skfocal import FocalLoss, _kernels
from skfocal._kernels import arguments as arguments_module, binary, blocks, softmax
from skfocal.loss import BinaryLossOnData, MulticlassLossOnData

ROWS = 1501
"""Five blocks of 251 rows, and a shorter one."""
PART = slice(700, 811)
PARTS = [PART, slice(1400, ROWS)]


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
    return np.sin(raw[::-1])


FUNCTIONS = {
    "binary.loss": (1, binary.loss),
    "binary.loss_gradient": (1, binary.loss_gradient),
    "binary.gradient_hessian": (1, binary.gradient_hessian),
    "softmax.loss": (3, softmax.loss),
    "softmax.loss_gradient": (3, softmax.loss_gradient),
    "softmax.gradient_hessian": (3, softmax.gradient_hessian),
    "softmax.hessian_matrix": (3, softmax.hessian_matrix),
    "binary.hessian_product": (1, lambda *rest, **n: binary.gradient_hessian(*rest, **n)[1]),
    "softmax.hessian_product": (3, lambda raw, *rest, **n: softmax.hessian_product(raw, *rest, np.sin(raw), **n)),
    "binary.posterior_logit": (1, lambda raw, *rest: binary.posterior_logit(raw, 2.0, 0.5, 0.3)),
    "softmax.log_posterior": (3, lambda raw, *rest: softmax.log_posterior(raw, GAMMAS.astype(raw.dtype), None)),
}
ONE_THREAD = ("softmax.hessian_matrix", "binary.posterior_logit", "softmax.log_posterior")
GAMMAS = np.array([2.0, 0.5, 1.0])


@pytest.mark.parametrize("per_row", [False, True], ids=["one gamma", "gammas and weights"])
@pytest.mark.parametrize("part", PARTS, ids=["in the middle", "of the last block"])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_rows_have_the_results_that_they_have_alone(name, part, per_row):
    n_scores, run = FUNCTIONS[name]
    given = arguments(n_scores, per_row)
    whole, alone = run(*given), run(*(a[part] if isinstance(a, np.ndarray) else a for a in given))
    if not isinstance(whole, tuple):
        whole, alone = (whole,), (alone,)
    for a, b in zip(whole, alone, strict=True):
        assert a.shape[0] == ROWS
        assert_allclose(a[part], b, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_scratch_memory_has_the_type_of_the_scores_and_no_more_rows_than_fit_the_cache(name, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 1800)
    allocated = []

    def spare_array(spare, shape, dtype):
        allocated.append((shape, dtype))
        return np.empty(shape, dtype)

    monkeypatch.setattr(blocks, "_spare_array", spare_array)
    n_scores, run = FUNCTIONS[name]
    run(*(a.astype(np.float32) if getattr(a, "dtype", None) == np.float64 else a for a in arguments(n_scores, True)))
    for shape, dtype in allocated:
        assert np.dtype(dtype) == np.float32
        assert shape[-1] == (ROWS if n_scores == 1 else 376)  # 1800 // 3 rows fit: three blocks, so four, of equal size
    assert len(allocated) == 1


@pytest.mark.parametrize("name", FUNCTIONS)
def test_as_many_threads_run_as_were_asked_for(name, monkeypatch):
    started = []

    def start_new_thread(*arguments):
        started.append(arguments)
        return _thread.start_new_thread(*arguments)

    monkeypatch.setattr(blocks, "start_new_thread", start_new_thread)
    n_scores, run = FUNCTIONS[name]
    raw, y, weight, gamma = arguments(n_scores, True)
    run(raw, y, weight, gamma)
    assert len(started) == 0
    if name in ONE_THREAD:
        return
    data = (BinaryLossOnData if n_scores == 1 else MulticlassLossOnData)(y, weight, gamma)
    method = getattr(data, name.partition(".")[2])
    given = (raw, direction(raw)) if "product" in name else (raw,)
    method(*given)
    assert len(started) == 0
    for n_threads in (1, 3):
        started.clear()
        run(raw, y, weight, gamma, n_threads=n_threads)
        assert len(started) == n_threads - 1  # the caller works, too
        method(*given, n_threads=n_threads)
        assert len(started) == 2 * (n_threads - 1)


@pytest.mark.parametrize("block_elements", [256, 10_000], ids=["several blocks", "one block"])
def test_memory_is_kept_for_the_next_call_that_can_use_it(block_elements, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", block_elements)
    monkeypatch.setattr(_kernels, "compiled", None)  # those in C need none
    for module, n_scores in ((binary, 1), (softmax, 3)):
        spare = []
        given = arguments(n_scores, True)
        expected = module.gradient_hessian(*given, spare=spare)
        (kept,) = spare
        assert_array_equal(module.gradient_hessian(*given, spare=spare), expected)
        assert spare[0] is kept
        assert len(spare) == 1
        # Of another type or number of rows it is of no use.
        for other in (tuple(a.astype(np.float32) if a.dtype == float else a for a in given), [a[:700] for a in given]):
            spare = [kept]
            assert_array_equal(module.gradient_hessian(*other, spare=spare), module.gradient_hessian(*other))
            assert len(spare) == 1
            assert spare[0] is not kept
        data = (BinaryLossOnData if n_scores == 1 else MulticlassLossOnData)(*given[1:])
        for _ in range(2):
            assert_array_equal(data.gradient_hessian(given[0]), expected)
            assert len(data._spare) == 1


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


@pytest.mark.parametrize(("n_scores", "sizes"), [(1, [1501]), (3, [376, 376, 376, 373])])
def test_labels_are_checked_once_in_the_blocks_of_the_kernel(n_scores, sizes, monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 1800)
    checked = []

    def check_y_true(y, n_classes):
        checked.append(len(y))
        return arguments_module.check_y_true(y, n_classes)

    monkeypatch.setattr("skfocal.loss.check_y_true", check_y_true)
    y = np.zeros(ROWS, np.float16)  # the kernels in C read no float16
    FocalLoss(1.3).gradient_hessian(y, arguments(n_scores, False)[0])
    assert checked == sizes


def test_the_posterior_of_one_score_is_computed_once_for_each_row(monkeypatch):
    monkeypatch.setattr("skfocal.loss.BLOCK_ELEMENTS", 1000)
    computed, posterior_logit = [], binary.posterior_logit

    def recorded(raw, *rest):
        computed.append(raw.shape)
        return posterior_logit(raw, *rest)

    monkeypatch.setattr(binary, "posterior_logit", recorded)
    FocalLoss(2.0).predict_proba(arguments(1, False)[0])
    assert computed == [(1000,), (501,)]


def test_the_number_of_blocks_is_1_or_even_and_their_sizes_are_equal(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_ELEMENTS", 1000)
    by_hand = {
        (0, 1): 1,
        (1, 1): 1,
        (1000, 1): 1000,
        (1001, 1): 501,
        (2000, 1): 1000,
        (2001, 1): 501,  # four blocks, not three
        (4000, 1): 1000,
        (500, 2): 500,
        (501, 2): 251,
        # At least 256 rows, however many classes.
        (256, 100): 256,
        (257, 100): 129,
        (1000, 100): 250,
    }
    assert {arguments: blocks.rows_per_block(*arguments) for arguments in by_hand} == by_hand
    assert blocks.rows_per_block(2001) == 501


@pytest.mark.parametrize(
    ("n_rows", "n_classes", "n_threads"),
    [(255, 1, 1), (511, 1, 1), (512, 1, 2), (1023, 1, 3), (400, 3, 4), (9999, 1, 8)],
)
def test_there_is_at_most_one_thread_for_each_full_block(n_rows, n_classes, n_threads, monkeypatch):
    used = []
    monkeypatch.setattr(blocks, "_on_threads", lambda work, n: used.append(n) or work())
    done = []

    def run(start, stop, scratch):
        assert scratch.shape == (2, stop - start)
        assert scratch.dtype == np.float32
        done.extend(range(start, stop))

    options = {} if n_classes == 1 else {"n_classes": n_classes}
    blocks.each_block(run, n_rows, scratch_shape=(2,), dtype=np.float32, n_threads=8, **options)
    assert done == list(range(n_rows))
    assert used == ([n_threads] if n_rows > 256 else [])


def test_scratch_of_each_thread_is_kept():
    spare, kept = [], []
    for _ in range(2):
        threads, all_run = set(), threading.Barrier(3)

        def run(start, stop, scratch, threads=threads, all_run=all_run):
            if threading.get_ident() not in threads:
                threads.add(threading.get_ident())
                all_run.wait(60)

        blocks.each_block(run, ROWS, scratch_shape=(2,), dtype=float, n_threads=3, spare=spare)
        assert [a.shape for a in spare] == [(2, 251)] * 3
        kept.append({id(a) for a in spare})
    assert kept[0] == kept[1]


def test_an_error_on_another_thread_alone_reaches_the_caller():
    caller, both_run = threading.get_ident(), threading.Barrier(2)

    def run(start, stop, scratch):
        if start <= 251:  # the first two blocks, one for each thread
            both_run.wait(60)
        if threading.get_ident() != caller:
            raise FloatingPointError("not on the caller's thread")

    with pytest.raises(FloatingPointError, match="not on the caller's thread"):
        blocks.each_block(run, ROWS, scratch_shape=(), dtype=float, n_threads=2)


def test_underflow_is_ignored_in_blocks_on_every_thread():
    seen = []
    with np.errstate(all="raise"):
        for n_rows in (1, ROWS):
            blocks.each_block(
                lambda *block: seen.append(np.geterr()), n_rows, scratch_shape=(), dtype=float, n_threads=3
            )
    assert len(seen) == 1 + 6
    assert {e["under"] for e in seen} == {"ignore"}


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_losses_above_the_largest_number_become_this_number_times_a_weight_below_1(dtype):
    m, inf, nan = np.finfo(dtype).max, np.inf, np.nan
    for losses, weight, expected in [
        ([1.0, m, 0.0], None, [1.0, m, 0.0]),
        ([1.0, inf, m], None, [1.0, m, m]),
        ([inf, nan, 2.0], None, [m, nan, 2.0]),
        ([inf, inf, inf, 3.0], [0.25, 1.0, 8.0, 0.5], [m / 4, m, m, 3.0]),
        ([nan, nan, 3.0], [0.0, 1.0, 0.0], [0.0, nan, 3.0]),
        ([5.0, m, 3.0], [0.0, 0.5, 0.0], [5.0, m, 3.0]),
        ([inf, m], [1.0, 0.5], [m, m]),
    ]:
        loss = np.array(losses, dtype)
        blocks.saturate(loss, None if weight is None else np.array(weight, dtype))
        assert_array_equal(loss, np.array(expected, dtype))


@pytest.mark.parametrize(
    ("current", "fast"), [("AVX512_SKX", True), ("baseline(SSE SSE2 SSE3)", False), ("", False), (None, False)]
)
@pytest.mark.parametrize(("dtype", "loop", "other"), [(np.float64, "dd", "ff"), (np.float32, "ff", "dd")])
def test_log1p_is_fast_if_its_loop_is_not_of_the_baseline(dtype, loop, other, current, fast, monkeypatch):
    loops = {other: {"current": "baseline" if fast else "AVX512_SKX"}}
    loops |= {} if current is None else {loop: {"current": current, "available": "AVX512_SKX baseline"}}
    monkeypatch.setattr(np.lib.introspect, "opt_func_info", lambda func_name: {"log1p": loops, "log": {}})
    assert blocks.has_fast_log1p.__wrapped__(dtype) is fast
    monkeypatch.setattr(np.lib.introspect, "opt_func_info", lambda func_name: {})
    assert blocks.has_fast_log1p.__wrapped__(dtype) is False
