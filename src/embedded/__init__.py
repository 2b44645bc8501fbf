"""The embedded Kafka and store: their jars, processes and home, and all of it as one stack.

Knows no web and no vision: children are started as processes.
"""
