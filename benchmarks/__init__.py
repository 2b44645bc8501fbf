"""Benchmarks: each prints a table beside what it is compared to."""
