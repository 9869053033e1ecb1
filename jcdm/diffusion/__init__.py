"""Noise schedules, noising, losses and guidance; no model and no data here."""
