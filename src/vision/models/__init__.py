"""Trained models: the bundle on disk, the runtimes that run it, the classifiers made of it.

No TensorFlow: what is served was exported.
"""
