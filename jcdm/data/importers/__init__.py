"""Readers of published data layouts, one file a format."""
