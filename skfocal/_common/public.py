"""Public names of private files. Imports nothing of the package."""

from importlib import import_module
from typing import Any


def is_public_in(module: str, *names: Any) -> None:
    """Say of classes and functions that they are ``module``'s, whatever file of its folder they are written in.

    Pickles, documentation links and error messages name the public path then, which stays when a file moves.
    """
    for name in names:
        name.__module__ = module


def dask_class(room: str, wanted: str, name: str) -> Any:
    """The class ``name`` of the room's Dask file, for the room's ``__getattr__``, which is asked for ``wanted``."""
    if wanted != name:
        raise AttributeError(f"module {room!r} has no attribute {wanted!r}")
    try:
        found = getattr(import_module(f"{room}._dask"), name)
    except ImportError as error:
        extra = room.rpartition(".")[2]
        raise ImportError(f'{name} needs Dask: python -m pip install "skfocal[{extra},dask]"') from error
    is_public_in(room, found)
    return found
