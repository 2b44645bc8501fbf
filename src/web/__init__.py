"""The pages, the API and the live picture, on Flask and cheroot.

Knows no Kafka client and no database driver: it is handed what it reads from. Sections of the API: ``api/``.
"""
