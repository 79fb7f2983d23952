"""Public names of private files. Imports nothing of the package."""

from typing import Any


def is_public_in(module: str, *names: Any) -> None:
    """Say of classes and functions that they are ``module``'s, whatever file of its folder they are written in.

    Pickles, documentation links and error messages name the public path then, which stays when a file moves.
    """
    for name in names:
        name.__module__ = module
