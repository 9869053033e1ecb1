"""The encoder cache: what the frozen encoders make of every photograph, computed once."""
