"""The networks, and how each is trained by default.

Keras models out of a shape; no data, and no disk but for starting weights.
"""
