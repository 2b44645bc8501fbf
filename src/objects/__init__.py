"""Objects by name, in a bucket or a folder.

Knows nothing of what they are for. ``open.open_objects`` chooses.
"""
