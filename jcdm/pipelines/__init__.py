"""Sampling as diffusers pipelines: prior, views of one grid, sequences."""
