"""Files that people send: kept on disk, sent to Kafka by a process each, followed until classified.

Knows no web and no Kafka client.
"""
