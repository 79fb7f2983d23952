"""The kernels in C with legal arrays of all memory layouts, and with illegal arguments, which must raise errors.

`sanitize.py` runs this with a build that stops at the first access beyond an array and at undefined behavior.
"""

from contextlib import nullcontext

import numpy as np
import pytest
from numpy.lib.stride_tricks import as_strided
from numpy.testing import assert_array_equal

ROWS = [0, 1, 2, 15, 16, 17, 255, 256, 257, 511, 700]
CLASSES = [1, 2, 3, 7, 40, 520]
LABELS = "?bhilqBHILQfd"
GAMMAS = [0.0, 0.5, 1.0, 2.0, 1.3, "array"]
PATTERN = 0xA5


@pytest.fixture(autouse=True)
def any_level(compiled):
    """Chooses one of the processor's levels of vector instructions, by a random number generator."""
    first, *_ = levels = compiled.levels()
    yield lambda rng: compiled.use(str(rng.choice(levels)))
    compiled.use(first)


def in_odd_memory(rng, a, *, writable=False):
    """A view with the same numbers: strided, backwards, of either memory order, at any address, or one number for all.

    Second, the memory around it, filled with one byte. What is to be written does not overlap with itself.
    """
    if not writable and a.size and rng.random() < 0.1:
        a = np.broadcast_to(a.reshape(-1)[0], a.shape)
        return a, None
    order = "C" if rng.random() < 0.5 else "F"
    steps = [int(rng.choice([1, 1, 1, 2, 3, -1, -2])) for _ in a.shape]
    shape = [n * abs(step) for n, step in zip(a.shape, steps)]
    room = np.full(128 + int(np.prod(shape)) * a.itemsize, PATTERN, np.uint8)
    offset = int(rng.choice([64, 64, 65, 68]))
    inner = room[offset : room.size - 128 + offset].view(a.dtype).reshape(shape, order=order)
    view = inner[tuple(slice(None, None, step) for step in steps)]
    view[...] = a
    if not writable:
        view.flags.writeable = False
    return view, room


def untouched(view, room):
    """Whether everything but the view is as it was."""
    view[...] = np.frombuffer(bytes([PATTERN] * view.itemsize), view.dtype)[0]
    return (room == PATTERN).all()


def problem(rng):
    """The name of a function and legal arguments for it, as a dict in their order."""
    name = str(rng.choice(["binary", "softmax", "binary_of_labels", "softmax_of_labels"]))
    several, of_labels = name.startswith("softmax"), name.endswith("of_labels")
    n, k, dtype = int(rng.choice(ROWS)), int(rng.choice(CLASSES)), rng.choice([np.float32, np.float64])
    n_classes = k if several else 2
    shape = (n, k) if several else (n,)
    y = rng.integers(n_classes, size=n)
    if of_labels:
        legal = [
            t for t in LABELS if n_classes - 1 <= (1 if t == "?" else 127 if t == "b" else 255 if t == "B" else 999)
        ]
        y = y.astype(str(rng.choice(legal)))
    elif not several:
        y = (1 - 2 * y).astype(dtype)
    gamma = str(rng.choice(GAMMAS))
    if gamma != "array":
        gamma = float(gamma)
    elif of_labels:
        gamma = rng.uniform(0, 3, n_classes)
    else:
        gamma = rng.uniform(0, 3, n).astype(dtype)
    arguments = {
        "raw_prediction": (rng.choice([0.1, 5, 300]) * rng.normal(size=shape)).astype(dtype),
        "y" if several or of_labels else "minus_s": y,
        "weight": None if rng.random() < 0.5 else rng.random(n).astype(dtype),
        "gamma": gamma,
    }
    if of_labels:
        arguments["alpha"] = None if rng.random() < 0.5 else rng.random(n_classes)
    else:
        arguments |= {
            "scale": 1.5,
            "factor": 1.2,
            "least": 0.25,
            "floor": -0.5,
            "drop_bits": int(rng.choice([0, 3, 23])),
        }
    narrow = np.float32 if rng.random() < 0.3 else dtype
    for result, of_result, type_of_result in (
        ("loss", (n,), dtype),
        ("gradient", shape, narrow),
        ("hessian", shape, narrow),
    ):
        arguments[result] = None if rng.random() < 0.2 else np.zeros(of_result, type_of_result)
    return name, arguments


RESULTS = ("loss", "gradient", "hessian")


@pytest.mark.parametrize("seed", range(20))
def test_right_arguments_in_any_memory(seed, compiled, any_level):
    rng = np.random.default_rng(seed)
    for _ in range(40):
        any_level(rng)
        name, arguments = problem(rng)
        odd, rooms = {}, {}
        for key, value in arguments.items():
            odd[key], rooms[key] = value, None
            if isinstance(value, np.ndarray):
                odd[key], rooms[key] = in_odd_memory(rng, value, writable=key in RESULTS)
                if key not in RESULTS:
                    arguments[key] = odd[key].copy()
        assert getattr(compiled, name)(*odd.values()) == getattr(compiled, name)(*arguments.values())
        for key in RESULTS:
            if arguments[key] is not None:
                assert_array_equal(odd[key], arguments[key])
                assert untouched(odd[key], rooms[key])


def faked(a, axis, size):
    """An array that says it has so many rows or classes, without the memory."""
    shape = list(a.shape)
    others = int(np.prod(np.delete(a.shape, axis)))
    shape[axis] = min(size, 2**62 // (a.itemsize * max(1, others)))  # NumPy counts bytes as an intp
    strides = list(a.strides)
    strides[axis] = 0
    return as_strided(a if a.size else np.zeros([1] * a.ndim, a.dtype), shape, strides)


def wrong_ones(rng, key, value):
    """What no function takes for this argument."""
    yield from ("text", b"bytes", 1j, object(), [0.5], {})
    if key in ("scale", "factor", "least", "floor"):
        return
    if key == "drop_bits":
        yield from (-1, 24, 2**31, 2**70)
        return
    if key != "gamma":
        yield 0.5
    if isinstance(value, np.ndarray):
        for dtype in ("c8", "c16", "e", "g", "S3", "U1", "O", "M8[s]", "i2,f4", ">f8", ">f4", ">i8"):
            yield np.zeros(value.shape, dtype)
        yield value.astype(np.float16)
        yield value[np.newaxis]
        yield value[..., np.newaxis]
        yield np.array(0, value.dtype)
        for size in (value.shape[0] + 1, 2**31, 2**31 + value.shape[0], 2**32 + value.shape[0], 2**59):
            if key != "raw_prediction":
                yield faked(value, 0, size)
        if value.ndim == 2:
            for size in (0, 2**31, 2**31 + value.shape[1], 2**32 + value.shape[1], 2**58):
                yield faked(value, 1, size)
    if key in RESULTS and isinstance(value, np.ndarray):
        read_only = value.copy()
        read_only.flags.writeable = False
        yield read_only
        yield np.zeros(value.shape, np.int64)


@pytest.mark.parametrize("seed", range(20))
def test_wrong_arguments_are_errors(seed, compiled, any_level):
    rng = np.random.default_rng(seed)
    for _ in range(4):
        any_level(rng)
        name, arguments = problem(rng)
        for key, value in arguments.items():
            for wrong in wrong_ones(rng, key, value):
                with pytest.raises((ValueError, TypeError, BufferError, OverflowError)):
                    getattr(compiled, name)(*{**arguments, key: wrong}.values())
        for bad in ((), list(arguments.values())[:-1], [*arguments.values(), None]):
            with pytest.raises(TypeError, match="exactly"):
                getattr(compiled, name)(*bad)


@pytest.mark.parametrize("seed", range(10))
def test_wrong_values_touch_no_other_memory(seed, compiled, any_level):
    rng = np.random.default_rng(seed)
    values = [np.nan, np.inf, -np.inf, -1, 0.5, 2.0**31, -(2.0**31), 2.0**32, 2.0**63, 2.0**64, 1e300, 5e-324, -0.0]
    for _ in range(40):
        any_level(rng)
        name, arguments = problem(rng)
        for key, value in arguments.items():
            if isinstance(value, np.ndarray) and value.size and key not in RESULTS:
                at = rng.integers(value.size, size=5)
                with np.errstate(invalid="ignore", over="ignore"):
                    value.reshape(-1)[at] = np.array(rng.choice(values, 5)).astype(value.dtype)
        rooms = {}
        for key in RESULTS:
            if arguments[key] is not None:
                arguments[key], rooms[key] = in_odd_memory(rng, arguments[key], writable=True)
        wrong_label = (
            name == "softmax" and not np.isin(arguments["y"], range(arguments["raw_prediction"].shape[1])).all()
        )
        with pytest.raises(ValueError, match="y must hold class indices") if wrong_label else nullcontext():
            result = getattr(compiled, name)(*arguments.values())
            assert result in ((True, False) if name.endswith("of_labels") else (None,))
        for key, room in rooms.items():
            assert untouched(arguments[key], room)


def test_rows_without_memory_of_their_own(compiled):
    # A million times the same row; the results are a million times written to one place.
    n = 1_000_000
    z, y = as_strided(np.array([0.5]), (n,), (0,)), as_strided(np.array([1], np.int8), (n,), (0,))
    place = np.empty(1)
    assert compiled.binary_of_labels(z, y, None, 2.0, None, as_strided(place, (n,), (0,)), None, None)
    one = np.empty(1)
    compiled.binary_of_labels(np.array([0.5]), np.array([1], np.int8), None, 2.0, None, one, None, None)
    assert_array_equal(place, one)
