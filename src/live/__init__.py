"""What is pushed to viewers: the newest picture of each stream, and events as they are stored.

No web and no Kafka client: the worker fills it, the web drains it.
"""
