"""What is kept of what was seen: ``interface`` says what a store can do, ``mongo/`` does it.

Only model values go in and come out.
"""
