"""What events add up to: episodes, shares of time, rules and their breaches.

Pure: no I/O, no store, no clock. Time is capture time.
"""
