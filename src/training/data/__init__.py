"""Labelled pictures: found, read, split and prepared as arrays on disk.

No TensorFlow and no model.
"""
