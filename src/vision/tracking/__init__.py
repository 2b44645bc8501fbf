"""Boxes followed from frame to frame, and labels smoothed over time.

Pure: time is capture time.
"""
