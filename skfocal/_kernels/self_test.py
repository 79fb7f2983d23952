"""Self-test of the kernels in C, which computes a few rows at import. May import NumPy.

A fault of the compiler, or flags such as ``-ffast-math``, can make correct code compute wrong results without an error.
"""

from types import ModuleType
from typing import Any

import numpy as np

MARGINS = (-20.0, -0.5, 0.25, 3.0, 20.0)
SCORES = ((0.5, -1.0, 2.0), (0.0, -1.0, 9.0), (3.0, 30.0, -2.0))
CLASSES = (0, 2, 0)
# For each gamma: loss, gradient and Hessian of each margin, and of each row of scores. They were computed with mpmath,
# and a test computes them again.
BINARY = {
    0.0: [
        (20.000000002061153, -0.9999999979388464, 2.061153613941849e-09),
        (0.9740769841801067, -0.6224593312018546, 0.2350037122015945),
        (0.5759394198788436, -0.4378234991142019, 0.24613408273759835),
        (0.04858735157374206, -0.04742587317756678, 0.04517665973091213),
        (2.061153620314381e-09, -2.0611536181902037e-09, 2.061153613941849e-09),
    ],
    1.25: [
        (19.999999950532313, -1.0000000468912447, -4.431480245812461e-08),
        (0.5385574141054219, -0.5983106913282153, 0.4164997339904358),
        (0.2051165197097542, -0.30006717598930543, 0.3449880170513282),
        (0.0010753315706996235, -0.002330042109153008, 0.004963351819770406),
        (2.862518570224235e-20, -6.440666772679371e-20, 1.449150020497182e-19),
    ],
    2.0: [
        (19.99999991961501, -1.0000000762626835, -7.21403758592083e-08),
        (0.3774116008594098, -0.526151821874583, 0.49306169331525324),
        (0.11040149126485514, -0.2080563791248643, 0.32112557084717686),
        (0.00010928332449699753, -0.0003148718464882813, 0.0008948392889540836),
        (8.756510717575235e-27, -2.6269532107604424e-26, 7.880859614232813e-26),
    ],
}
SOFTMAX = {
    0.0: [
        (
            1.7413112966571571,
            -0.8247096078599633,
            0.03911257327068745,
            0.7855970345892759,
            0.14456367056342886,
            0.03758277988283256,
            0.16843433383381196,
        ),
        (
            0.00016879548708934855,
            0.00012338897482667914,
            4.5392267105955885e-05,
            -0.000168781241932635,
            0.00012337374998757037,
            4.5390206648042866e-05,
            0.0001687527548250067,
        ),
        (
            27.000000000001894,
            -0.9999999999981205,
            0.9999999999981078,
            1.2664165549070213e-14,
            1.879528816531994e-12,
            1.8921929820810166e-12,
            1.2664165549070052e-14,
        ),
    ],
    1.25: [
        (
            1.368524999047567,
            -0.9480143602851608,
            0.04496040882139614,
            0.9030539514637647,
            0.21605715388202157,
            0.043314080830378424,
            0.23887783635417043,
        ),
        (
            3.2472524557908494e-09,
            5.340645283611136e-09,
            1.964713602429764e-09,
            -7.3053588860409e-09,
            1.0219385226056982e-08,
            2.624979254378448e-09,
            1.6433940727730978e-08,
        ),
        (
            26.999999999938456,
            -1.000000000059205,
            1.0000000000591924,
            1.2664165549843799e-14,
            -5.685574669981466e-11,
            -5.684308253426338e-11,
            1.2664165549843639e-14,
        ),
    ],
    2.0: [
        (
            1.184345803989926,
            -0.9761317700569744,
            0.046293901531315844,
            0.9298378685256585,
            0.2947594678680847,
            0.04476134978705456,
            0.3115623673731416,
        ),
        (
            4.808495207889423e-12,
            1.0544391719505347e-11,
            3.879064933264411e-12,
            -1.4423456652769758e-11,
            2.595719089318371e-11,
            5.9649604749032024e-12,
            4.326225526188784e-11,
        ),
        (
            26.999999999900396,
            -1.000000000095856,
            1.0000000000958433,
            1.2664165550307952e-14,
            -9.209691200934711e-11,
            -9.208424784379447e-11,
            1.266416555030779e-14,
        ),
    ],
}

N_ROWS = 67
"""Number of rows of the test, to which the rows above are repeated. It is enough for several of the longest vectors and
a remainder."""


def fault(compiled: ModuleType) -> str:
    """Description of what is wrong with the compiled module, or ""."""
    try:
        for dtype, tolerance in ((np.float64, 1e-12), (np.float32, 2e-5)):
            for gamma in BINARY:
                wrong = _differences(compiled, gamma, np.dtype(dtype), tolerance)
                if wrong:
                    return f"{wrong} in {np.dtype(dtype)} at gamma {gamma:g}"
        z, out = np.zeros(N_ROWS), np.empty(N_ROWS)
        for label in (-1, 2):
            y = np.full(N_ROWS, 0)
            y[-1] = label
            if compiled.binary_of_labels(z, y, None, 2.0, None, out, None, None) is not False:
                return f"a label {label} is taken for one of two classes"
        z[-1] = np.nan
        if compiled.binary_of_labels(z, np.full(N_ROWS, 0), None, 2.0, None, out, None, None) is not False:
            return "NaN is taken for a score"
    except Exception as error:  # with any error, NumPy is used
        return f"{type(error).__name__}: {error}"
    return ""


def _differences(compiled: ModuleType, gamma: float, dtype: np.dtype[Any], tolerance: float) -> str:
    """Name of a function whose results differ from the tables by more than the relative ``tolerance``, or ""."""
    z = np.resize(np.array(MARGINS, dtype), N_ROWS)
    expected = np.resize(np.array(BINARY[gamma]), (N_ROWS, 3))
    out = np.full((3, N_ROWS), np.nan, dtype)
    no_bounds = 1.0, 1.0, 0.0, -np.inf, 0
    compiled.binary(z, np.full(N_ROWS, -1, dtype), None, gamma, *no_bounds, *out)
    if not _close(out.T, expected, tolerance):
        return "binary"
    out[...] = np.nan
    if not compiled.binary_of_labels(z, np.full(N_ROWS, 1), None, gamma, None, *out):
        return "binary_of_labels"
    if not _close(out.T, expected, tolerance):
        return "binary_of_labels"
    scores, y = np.resize(np.array(SCORES, dtype), (N_ROWS, 3)), np.resize(np.array(CLASSES, np.intp), N_ROWS)
    expected = np.resize(np.array(SOFTMAX[gamma]), (N_ROWS, 7))
    loss, both = np.full(N_ROWS, np.nan, dtype), np.full((2, N_ROWS, 3), np.nan, dtype)
    compiled.softmax(scores, y, None, gamma, *no_bounds, loss, *both)
    if not _close(np.column_stack([loss, *both]), expected, tolerance):
        return "softmax"
    loss[...], both[...] = np.nan, np.nan
    if not compiled.softmax_of_labels(scores, y, None, gamma, None, loss, *both):
        return "softmax_of_labels"
    return "" if _close(np.column_stack([loss, *both]), expected, tolerance) else "softmax_of_labels"


def _close(got: Any, expected: Any, tolerance: float) -> bool:
    return bool((np.abs(got - expected) <= tolerance * np.abs(expected)).all())
