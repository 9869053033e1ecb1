"""Measured speed: timed with warm-up and repeats, reported as medians."""
