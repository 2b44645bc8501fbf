"""The embedded servers: a real Kafka and a store that speaks MongoDB's protocol, with nothing else to install."""
