"""The grounded model in torch, where it can be trained: the same network that models.reader computes in int8.

Knows no training data and no variant of models.systems.
"""
