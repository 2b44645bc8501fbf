"""A frame on its way: its names, its form as a Kafka record, and Kafka itself."""
