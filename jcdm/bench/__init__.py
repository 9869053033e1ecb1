"""Timed, repeatable cost of each stage."""
