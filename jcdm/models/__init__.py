"""The six model parts: encoders, prior, injector, pose guider, U-Net, motion."""
