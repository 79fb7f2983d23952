"""Focal loss on plain arrays: NumPy alone, no scikit-learn, no classes, no validation.

``binary`` works in the signed margin, ``softmax`` on K scores a row, ``blocks`` walks the rows.
"""
