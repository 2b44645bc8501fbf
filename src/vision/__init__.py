"""Pictures in, detections out: arrays and dataclasses.

No Kafka, no store, no web. What a classifier is: ``classifier``; which there are: ``presets``.
"""
