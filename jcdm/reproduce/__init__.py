"""Repeat a run from its manifest: the record, the commands, and what differs today."""
