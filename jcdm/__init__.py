"""jcdm: multi-view pose-guided person image synthesis (JCDM, jointly conditioned diffusion)."""
