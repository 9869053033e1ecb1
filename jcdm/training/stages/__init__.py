"""The three stages: appearance prior, denoiser on the frozen prior, motion module."""
