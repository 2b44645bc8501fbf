"""From a source to the topic: decode, pace, number, stamp, send.

Knows nothing of consumers and stores. Sources: ``sources/``, one file a kind.
"""
