"""What finds boxes in a picture, one file a detector.

Arrays in, boxes out. Trained bundles live in ``models``.
"""
