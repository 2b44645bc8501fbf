"""Pictures in, detections out: arrays and dataclasses, no Kafka, no store, no web."""
