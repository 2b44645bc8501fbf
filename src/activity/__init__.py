"""What events add up to: episodes, shares of time, and rules that are held or broken. No store and no clock."""
