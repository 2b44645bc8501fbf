"""Real clients made and handed in, one file for each program.

The only room where parts of all rooms meet.
"""
