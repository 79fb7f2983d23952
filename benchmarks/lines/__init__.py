"""The lines of ``speed.py``, a module for each part of the package. A line's function returns what to time."""
