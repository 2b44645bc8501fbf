"""Where frames come from, one file a kind: file and folder, webcam and address, bucket.

``open.open_source`` chooses. A source yields pictures; it knows nothing of Kafka.
"""
