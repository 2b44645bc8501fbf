"""Learning itself: batches, augmentation, phases, checkpoints.

Goes on where a killed run stopped.
"""
