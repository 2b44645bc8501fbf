"""From labelled pictures to a bundle that can be served.

The only room that needs TensorFlow. Knows no Kafka, no store and no web.
"""
