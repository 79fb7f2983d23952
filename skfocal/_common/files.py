"""Files that are complete or not there. May import nothing but the standard library."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def complete_file(filename: Any) -> Iterator[Path]:
    """A path to write to. If the block succeeds, the new file replaces ``filename``; otherwise it is removed.

    A full disk or an interrupt therefore leaves an older file as it was. What is not a regular file, such as a pipe,
    and a file in a folder without write permission are written directly.
    """
    path = Path(os.path.realpath(os.fspath(filename)))
    exists = path.exists()
    if (exists and not path.is_file()) or not os.access(path.parent, os.W_OK):
        yield Path(os.fspath(filename))
        return
    # The suffix stays, because XGBoost chooses the format by it.
    temporary = path.with_name(f".{path.stem[:100]}-{secrets.token_hex(4)}{path.suffix}")
    try:
        yield temporary
        if exists:
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
