"""From the topic to the sinks: read, classify, show, hand to each sink, and only then commit.

Knows no web, no producer and no database driver. What becomes of a classified frame: ``sinks/``.
"""
