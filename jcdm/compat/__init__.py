"""Published state dicts to ours and back, one file a source."""
