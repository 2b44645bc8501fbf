"""What becomes of a classified frame, one file a sink; ``base.Sink`` says what one is.

A sink knows nothing of other sinks, of threads or of offsets.
"""
