"""Kernels in C that compute wrong results are detected at import, and not used."""

import os
import re
import subprocess
import sys
import sysconfig
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import mpmath
import numpy as np
import pytest

import skfocal
from skfocal import _kernels
from skfocal._kernels import self_test


def exact(loss, at):
    """A function of several mpmath numbers, its derivatives by each, and its second ones, as floats."""
    with mpmath.workdps(300):
        at, h = [mpmath.mpf(x) for x in at], mpmath.mpf(10) ** -90

        def moved(k, step):
            return loss([x + step * (j == k) for j, x in enumerate(at)])

        pairs = [(moved(k, h), moved(k, -h)) for k in range(len(at))]
        value = loss(at)
        first = [(above - below) / (2 * h) for above, below in pairs]
        second = [(above - 2 * value + below) / h**2 for above, below in pairs]
        return [float(x) for x in (value, *first, *second)]


@pytest.mark.parametrize("gamma", self_test.BINARY)
def test_the_tables_are_those_of_the_definition(gamma):
    def binary(x):
        p = 1 / (1 + mpmath.exp(-x[0]))
        return -((1 - p) ** mpmath.mpf(gamma)) * mpmath.log(p)

    def softmax(t, x):
        e = [mpmath.exp(v) for v in x]
        q = mpmath.fsum(v for k, v in enumerate(e) if k != t) / mpmath.fsum(e)
        return -(q ** mpmath.mpf(gamma)) * mpmath.log(e[t] / mpmath.fsum(e))

    assert [list(row) for row in self_test.BINARY[gamma]] == [exact(binary, [u]) for u in self_test.MARGINS]
    for row, scores, t in zip(self_test.SOFTMAX[gamma], self_test.SCORES, self_test.CLASSES, strict=True):
        assert list(row) == exact(partial(softmax, t), scores)


def altered(compiled, name, change):
    """The module with another function of this name: ``change(result, *arguments)`` is called after the real one."""

    def function(*arguments):
        result = getattr(compiled, name)(*arguments)
        return change(result, *arguments)

    names = ("binary", "softmax", "binary_of_labels", "softmax_of_labels")
    return SimpleNamespace(**{n: function if n == name else getattr(compiled, n) for n in names})


def one_number(which, row, factor, dtype, at_gamma):
    """One number of one result, wrong by a factor."""

    def change(result, z, y, weight, gamma, *rest):
        if rest[which] is not None and z.dtype == dtype and gamma == at_gamma:
            rest[which][row] *= factor
        return result

    return change


@pytest.mark.parametrize("gamma", self_test.BINARY)
@pytest.mark.parametrize(("dtype", "factor"), [(np.float64, 1 + 1e-10), (np.float32, 1 + 1e-3), (np.float64, np.nan)])
@pytest.mark.parametrize("which", [-1, -2, -3])
@pytest.mark.parametrize("row", [0, 63, 66])
@pytest.mark.parametrize("name", ["binary", "softmax", "binary_of_labels", "softmax_of_labels"])
def test_one_wrong_number_is_found(name, row, which, dtype, factor, gamma, compiled):
    wrong = altered(compiled, name, one_number(which, row, factor, dtype, gamma))
    assert self_test.fault(wrong) == f"{name} in {np.dtype(dtype)} at gamma {gamma:g}"


def test_other_faults_are_found(compiled):
    assert self_test.fault(compiled) == ""
    assert (
        self_test.fault(SimpleNamespace()) == "AttributeError: 'types.SimpleNamespace' object has no attribute 'binary'"
    )
    every_label = altered(compiled, "binary_of_labels", lambda result, *arguments: True)
    assert self_test.fault(every_label) == "a label -1 is taken for one of two classes"
    no_label = altered(compiled, "softmax_of_labels", lambda result, *arguments: False)
    assert self_test.fault(no_label) == "softmax_of_labels in float64 at gamma 0"

    label_2 = altered(compiled, "binary_of_labels", lambda result, z, y, *rest: result or bool((y == 2).any()))
    assert self_test.fault(label_2) == "a label 2 is taken for one of two classes"
    no_label = altered(compiled, "binary_of_labels", lambda result, *arguments: False)
    assert self_test.fault(no_label) == "binary_of_labels in float64 at gamma 0"

    def without_nan(result, z, *rest):
        return result or bool(np.isnan(z).any())

    assert self_test.fault(altered(compiled, "binary_of_labels", without_nan)) == "NaN is taken for a score"


def test_checks_that_leave_out_the_remainder_of_the_rows_are_found(compiled):
    # The last row is in no complete vector.
    last_label = altered(compiled, "binary_of_labels", lambda result, z, y, *rest: result or y[-1] not in (0, 1))
    assert self_test.fault(last_label) == "a label -1 is taken for one of two classes"
    last_score = altered(compiled, "binary_of_labels", lambda result, z, *rest: result or bool(np.isnan(z[-1])))
    assert self_test.fault(last_score) == "NaN is taken for a score"


def test_every_level_of_vector_instructions_passes(compiled):
    first, *others = compiled.levels()
    assert compiled.level() == first
    try:
        for level in (*others, first):
            compiled.use(level)
            assert compiled.level() == level
            assert self_test.fault(compiled) == ""
    finally:
        compiled.use(first)
    for wrong in ("SSE9", None, 1):
        with pytest.raises(ValueError, match=rf"level must be one of those of levels\(\), got {wrong!r}"):
            compiled.use(wrong)


IMPORT = """
import importlib.util, sys
name = "skfocal._kernels._compiled"
spec = importlib.util.spec_from_file_location(name, sys.argv[1])
sys.modules[name] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sys.modules[name])
import skfocal
skfocal.show_versions()
print(skfocal.FocalLoss(0.0)([1, 0], [0.0, 0.0]))
"""


def test_a_wrong_build_is_found_at_import_and_numpy_does_the_work(compiled, tmp_path):
    source = Path(__file__).parents[2] / "skfocal" / "_kernels"
    for path in source.glob("_compiled*.[ch]"):
        text = path.read_text("utf-8")
        # A coefficient that is wrong in its 8th digit: no single result looks wrong.
        (tmp_path / path.name).write_text(text.replace("0.16666666666666667453", "0.16666666000000000000"), "utf-8")
    compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
    library = tmp_path / "wrong.so"
    arguments = [
        "-shared",
        "-fPIC",
        "-O0",
        f"-I{sysconfig.get_path('include')}",
        tmp_path / "_compiled.c",
        "-o",
        library,
    ]
    arguments += ["-undefined", "dynamic_lookup"] if sys.platform == "darwin" else ["-lm"]
    subprocess.run([compiler, *arguments], check=True)
    run = subprocess.run(
        [sys.executable, "-P", "-c", IMPORT, library], check=True, capture_output=True, text=True,
        env={**os.environ, "SKFOCAL_COMPILED": "1"},
    )  # fmt: skip
    reason = "those in C failed their self-test: binary in float64 at gamma 0"
    assert f"Kernels: NumPy ({reason})\n0.6931471805599453\n" in run.stdout
    assert "RuntimeWarning: skfocal computes with NumPy, because its kernels in C failed their self-test" in run.stderr


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (
            ModuleNotFoundError("No module named 'skfocal._kernels._compiled'"),
            "those in C were not built when skfocal was",
        ),
        (ImportError("version `GLIBC_2.99' not found"), "those in C can't be loaded: version `GLIBC_2.99' not found"),
    ],
)
def test_show_versions_says_why_there_are_no_kernels_in_c(error, reason, monkeypatch, capsys):
    def import_module(name):
        raise error

    monkeypatch.setattr(_kernels, "import_module", import_module)
    monkeypatch.delenv("SKFOCAL_COMPILED", raising=False)
    compiled, why_not = _kernels._load()
    assert compiled is None
    monkeypatch.setattr(_kernels, "compiled", None)
    monkeypatch.setattr(_kernels, "why_not_compiled", why_not)
    skfocal.show_versions()
    assert f"Kernels: NumPy ({reason}" in capsys.readouterr().out
    monkeypatch.setenv("SKFOCAL_COMPILED", "0")
    assert _kernels._load() == (None, "SKFOCAL_COMPILED=0")


def test_kernels_that_pass_are_loaded(compiled, monkeypatch):
    monkeypatch.delenv("SKFOCAL_COMPILED", raising=False)
    assert _kernels._load() == (compiled, "")


def test_kernels_that_fail_are_not_loaded_and_a_warning_says_what_to_do(monkeypatch):
    monkeypatch.delenv("SKFOCAL_COMPILED", raising=False)
    monkeypatch.setattr(_kernels, "import_module", lambda name: SimpleNamespace())
    reason = "AttributeError: 'types.SimpleNamespace' object has no attribute 'binary'"
    with pytest.warns(RuntimeWarning) as warned:
        assert _kernels._load() == (None, f"those in C failed their self-test: {reason}")
    (warning,) = warned
    assert str(warning.message) == (
        f"skfocal computes with NumPy, because its kernels in C failed their self-test: {reason}. A faulty compiler, "
        "flags that change results such as -ffast-math, or the source of another version made them so. Install skfocal "
        "anew, or set SKFOCAL_COMPILED=0 in the environment to do without them and this warning."
    )
    assert warning.filename == __file__


def test_show_versions_names_the_vector_instructions(compiled, capsys):
    skfocal.show_versions()
    assert re.search(rf"^Kernels: C \({compiled.level()}\)$", capsys.readouterr().out, re.MULTILINE)
