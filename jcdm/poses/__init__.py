"""Poses from photographs and films: find people, draw over them, fit a pose to another body."""
