"""SciPy's own BLAS has one thread in a fit, and as many as before afterwards, whatever threads and forks do."""

import os
import threading
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from sklearn.datasets import make_classification
from threadpoolctl import ThreadpoolController, threadpool_limits

from skfocal.linear_model import FocalLogisticRegression, _blas
from skfocal.linear_model._blas import _of_scipy, scipy_on_one_thread

X, Y = make_classification(300, 30, random_state=0)


def threads(libraries=None):
    libraries = ThreadpoolController().lib_controllers if libraries is None else libraries
    return [library.num_threads for library in libraries]


@pytest.fixture
def two_threads():
    """All libraries on two threads, for the test."""
    with ThreadpoolController().limit(limits=2):
        yield


def test_one_thread_in_fits_and_the_threads_of_before_afterwards(two_threads):
    before, of_scipy = threads(), _of_scipy()
    others = sum(threads()) - sum(threads(of_scipy))
    set_to = threads(of_scipy)
    with scipy_on_one_thread(), scipy_on_one_thread():
        assert all(n == 1 for n in threads(of_scipy))
        assert sum(threads()) - sum(threads(of_scipy)) == others
    assert threads(of_scipy) == set_to
    with pytest.raises(RuntimeError, match="in a fit"), scipy_on_one_thread():
        raise RuntimeError("in a fit")
    assert threads() == before


def test_fits_on_several_threads_leave_the_number_of_threads_as_it_was(two_threads):
    before = threads()
    first_is_in, second_is_in = threading.Event(), threading.Event()

    def first():
        with scipy_on_one_thread():
            first_is_in.set()
            second_is_in.wait()

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(first)
        first_is_in.wait()
        with scipy_on_one_thread():
            second_is_in.set()
            future.result()
            # The thread that has set the limit still lives, as that of a pool does, and no longer fits.
            assert all(n == 1 for n in threads(_of_scipy()))
        assert threads() == before
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda i: FocalLogisticRegression().fit(X, Y), range(40)))
    assert threads() == before


def test_the_limit_that_a_user_has_set_holds_after_the_fit(two_threads):
    with threadpool_limits(1):
        FocalLogisticRegression().fit(X, Y)
        assert all(n == 1 for n in threads(_of_scipy()))


def in_child(work, seconds=60):
    """Exit status of a forked process that does this work."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of Python 3.12, for a fork of several threads
        process = os.fork()
    if process == 0:
        try:
            os._exit(0 if work() else 1)
        finally:
            os._exit(2)
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        done, status = os.waitpid(process, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.002)
    os.kill(process, 9)
    os.waitpid(process, 0)
    return "hangs"


needs_fork = pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork")


@needs_fork
def test_a_process_forked_during_a_fit_can_fit_and_gets_its_threads_back(two_threads):
    before, inside, stop = threads(), threading.Event(), threading.Event()
    expected = FocalLogisticRegression().fit(X, Y).coef_

    def fit():
        with scipy_on_one_thread():
            inside.set()
            stop.wait()

    def work():
        as_before = threads() == before
        return as_before and np.allclose(FocalLogisticRegression().fit(X, Y).coef_, expected) and threads() == before

    thread = threading.Thread(target=fit)
    thread.start()
    inside.wait()
    try:
        assert in_child(work) == 0
        assert all(n == 1 for n in threads(_of_scipy()))
    finally:
        stop.set()
        thread.join()
    assert threads() == before


@needs_fork
def test_a_fork_while_other_threads_fit_never_hangs(two_threads):
    stop = threading.Event()

    def fit():
        while not stop.is_set():
            FocalLogisticRegression().fit(X, Y)

    workers = [threading.Thread(target=fit) for _ in range(2)]
    for worker in workers:
        worker.start()
    try:
        found = [in_child(lambda: FocalLogisticRegression().fit(X, Y).n_iter_[0] > 0) for _ in range(10)]
    finally:
        stop.set()
        for worker in workers:
            worker.join()
    assert found == [0] * 10


@needs_fork
def test_a_fork_within_a_fit_goes_on_with_it(two_threads):
    before = threads()

    def work():
        still_one = all(n == 1 for n in threads(_of_scipy()))
        _blas._leave({threading.get_ident(): 1})
        return still_one and threads() == before

    with scipy_on_one_thread():
        assert in_child(work) == 0
    assert threads() == before


@pytest.mark.parametrize("at", ["num_threads", "set_num_threads", "second fit"])
def test_an_interrupt_while_a_fit_begins_leaves_nothing_to_the_next_one(at, monkeypatch):
    class Library:
        now, interrupts = 4, True

        @property
        def num_threads(self):
            if at == "num_threads" and self.interrupts:
                raise KeyboardInterrupt
            return self.now

        def set_num_threads(self, n_threads):
            self.now = n_threads
            if at == "set_num_threads" and self.interrupts:
                raise KeyboardInterrupt

    library = Library()
    monkeypatch.setattr(_blas, "_of_scipy", lambda: [library])
    if at == "second fit":
        with _blas.scipy_on_one_thread():
            with pytest.raises(KeyboardInterrupt), _blas.scipy_on_one_thread():
                raise KeyboardInterrupt
            assert library.now == 1
    else:
        with pytest.raises(KeyboardInterrupt), _blas.scipy_on_one_thread():
            pass
    library.interrupts = False
    with _blas.scipy_on_one_thread():
        assert library.now == 1
    assert library.now == 4
    assert not _blas._users
    assert not _blas._n_threads
