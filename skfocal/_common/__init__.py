"""What the rooms share: validation, labels, the classifiers' and the objectives' bases, metrics by name."""
