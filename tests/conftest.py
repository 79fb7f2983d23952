"""Data sets the tests share. Real ones come with scikit-learn or lie in examples/data."""

import os
import platform
import shutil
import subprocess
import sysconfig
from pathlib import Path

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer, load_wine, make_classification


@pytest.fixture(scope="session")
def imbalanced():
    """1,500 rows, 6 % positive, 8 features."""
    return make_classification(1500, 8, n_informative=5, weights=[0.94], flip_y=0.02, random_state=0)


@pytest.fixture(scope="session", params=["binary", "multiclass"])
def problem(request):
    """X, y with labels 0 .. K-1 of a two-class and of a three-class problem, and sample weights."""
    X, y = (load_breast_cancer if request.param == "binary" else load_wine)(return_X_y=True)
    return X, y, np.random.default_rng(0).uniform(0.2, 2.0, size=len(y))


@pytest.fixture(scope="module")
def client():
    """Of a Dask cluster of two processes on this machine."""
    distributed = pytest.importorskip("distributed", exc_type=ImportError)
    with (
        distributed.LocalCluster(n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield client


@pytest.fixture
def spread(client):
    """Function that gives arrays as Dask arrays of n partitions, which lie on the workers of `client` in turn."""
    import dask.array as da
    from distributed import wait

    def spread(n_partitions, *arrays):
        client.wait_for_workers(2, timeout=120)  # one that was killed is started again
        workers = sorted(client.scheduler_info(n_workers=-1)["workers"])

        def on_workers(array):
            parts = np.split(array, range(n, len(array), n))
            # Not scattered: those of a worker that dies are computed again.
            futures = [
                client.submit(np.copy, p, workers=[workers[i % len(workers)]], allow_other_workers=True, pure=False)
                for i, p in enumerate(parts)
            ]
            wait(futures)
            return da.concatenate([da.from_delayed(f, p.shape, p.dtype) for f, p in zip(futures, parts, strict=True)])

        n = -(-len(arrays[0]) // n_partitions)
        return [on_workers(np.asarray(a)) for a in arrays]

    return spread


def why_no_compiled_kernels():
    """What the world outside lacks for the kernels in C, or "": then they have to be there, and are tested."""
    if os.environ.get("SKFOCAL_COMPILED") == "0":
        return "SKFOCAL_COMPILED=0 asks for the kernels in NumPy"
    if platform.system() not in ("Linux", "Darwin") or platform.machine() not in ("x86_64", "aarch64", "arm64"):
        return "the kernels in C are for Linux and macOS with x86-64 or ARM64"
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    if not shutil.which(compiler) or not Path(sysconfig.get_path("include"), "Python.h").exists():
        return f"no compiler {compiler} or no headers of Python to build the kernels in C with"
    macros = subprocess.run(
        [compiler, "-dM", "-E", "-xc", os.devnull], capture_output=True, text=True, check=False
    ).stdout
    versions = dict(line.split()[1:3] for line in macros.splitlines() if len(line.split()) > 2)
    if "__clang__" not in versions and int(versions.get("__GNUC__", 0)) < 12:
        return f"{compiler} is neither Clang nor GCC 12 or later, which the kernels in C need"
    return ""


WHY_NO_COMPILED_KERNELS = why_no_compiled_kernels()


@pytest.fixture
def compiled():
    """The kernels in C. Skips the test only where they can't be built."""
    from skfocal import _kernels

    if WHY_NO_COMPILED_KERNELS:
        pytest.skip(WHY_NO_COMPILED_KERNELS)
    assert _kernels.compiled is not None, "everything is here to build the kernels in C, but they are not here"
    return _kernels.compiled
