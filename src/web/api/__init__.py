"""The API, one file a section, each a blueprint.

Requests in, schemas out. No I/O of its own.
"""
