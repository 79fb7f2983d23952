"""Public names of private files. Imports nothing of the package."""

from importlib import import_module
from typing import Any


def is_public_in(module: str, *names: Any) -> None:
    """Set the ``__module__`` of public classes and functions to the public module instead of their private file.

    Pickles, documentation links and error messages then name the public path, which does not change when a file moves.
    """
    for name in names:
        name.__module__ = module


def dask_class(room: str, wanted: str, name: str) -> Any:
    """The class ``name`` of a folder's Dask file, for the ``__getattr__`` of the folder, which was asked for
    ``wanted``.
    """
    if wanted != name:
        raise AttributeError(f"module {room!r} has no attribute {wanted!r}")
    try:
        found = getattr(import_module(f"{room}._dask"), name)
    except ImportError as error:
        extra = room.rpartition(".")[2]
        raise ImportError(f'{name} needs Dask: python -m pip install "skfocal[{extra},dask]"') from error
    is_public_in(room, found)
    return found
