"""What pyproject.toml can't say: the extension module, and a README whose links work outside the repository."""

import os
import re
import tomllib
from pathlib import Path

from setuptools import Extension, setup

HERE = Path(__file__).parent


def readme():
    """README.md with links to files, and its picture, under the address of [project.urls]."""
    address = tomllib.loads((HERE / "pyproject.toml").read_text("utf-8"))["project"]["urls"]["Source"]
    text = (HERE / "README.md").read_text("utf-8")
    text = re.sub(r"(!\[[^]]*\]\()(?!https?:|#)", rf"\1{address}/raw/main/", text)
    return re.sub(r"(?<=\]\()(?!https?:|#)", f"{address}/blob/main/", text)


compiled = Extension(
    "skfocal._kernels._compiled",
    sources=["skfocal/_kernels/_compiled.c"],
    depends=["skfocal/_kernels/_compiled.h", "skfocal/_kernels/_compiled_types.h"],
    # For GCC and Clang; the source refuses others. The last two change no result: nobody looks at errno or
    # floating-point traps, so loops may be vectorized.
    extra_compile_args=["-O3", "-g0", "-fno-math-errno", "-fno-trapping-math"],
    py_limited_api=True,
    optional=True,  # where it does not compile NumPy does the work
)
# One wheel for all Pythons from 3.11 on; with SKFOCAL_COMPILED=0 one without kernels, for all platforms.
if os.environ.get("SKFOCAL_COMPILED") == "0":
    kernels = {}
else:
    kernels = {"ext_modules": [compiled], "options": {"bdist_wheel": {"py_limited_api": "cp311"}}}
setup(long_description=readme(), long_description_content_type="text/markdown", **kernels)
