"""What everything speaks of: frame, detection, event, episode, alert, upload, names, times, filters.

Pure values: no driver, no Kafka, no web.
"""
