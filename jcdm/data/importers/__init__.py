"""Importers: each reads one published layout into the subjects of an index."""
