"""The store in MongoDB: documents, indexes, queries.

The only room that knows pymongo. Queries keep to what the embedded store answers rightly: docs/store.md.
"""
