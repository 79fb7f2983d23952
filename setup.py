"""The extension module, which pyproject.toml can't name without setuptools calling that experimental."""

from setuptools import Extension, setup

compiled = Extension(
    "skfocal._kernels._compiled",
    sources=["skfocal/_kernels/_compiled.c"],
    depends=["skfocal/_kernels/_compiled.h"],
    # The last two change no result: nobody looks at errno or floating-point traps, so loops may be vectorised.
    extra_compile_args=["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"],
    py_limited_api=True,
    optional=True,  # where it does not compile NumPy does the work
)
# One wheel for all Pythons from 3.11 on.
setup(ext_modules=[compiled], options={"bdist_wheel": {"py_limited_api": "cp311"}})
