"""What the tests of exported models share."""

import subprocess
import sys

import pytest

WITHOUT = """
import sys


class NotHere:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {absent}:
            raise ImportError(name)


sys.meta_path.insert(0, NotHere())
folder = sys.argv[1]
"""


@pytest.fixture
def run_without(tmp_path):
    """Function that runs a script where packages cannot be imported: skfocal, the boosters and those named.

    The script's ``folder`` is ``tmp_path``.
    """

    def run(script, *packages):
        absent = {"skfocal", "sklearn", "scipy", "lightgbm", "xgboost", *packages}
        subprocess.run([sys.executable, "-I", "-c", WITHOUT.format(absent=absent) + script, str(tmp_path)], check=True)

    return run
