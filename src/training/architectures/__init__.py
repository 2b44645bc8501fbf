"""The networks, and how each is trained unless told otherwise.

Keras models out of a shape; no data, and no disk but for starting weights.
"""
