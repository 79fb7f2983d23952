"""The lines of ``speed.py``, with a module for each part of the package. The function of a line returns the functions
to time.
"""
