"""A frame as a Kafka record; clients and topics, and what keeps clients alive.

Beside consumer and producer the only room that knows confluent_kafka. No store, no vision, no web.
"""
