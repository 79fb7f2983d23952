"""What the folders of the libraries share: validation, labels, base classes of classifiers and objectives, named
metrics.
"""
