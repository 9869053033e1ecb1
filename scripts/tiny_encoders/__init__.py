"""How the two tiny frozen encoders in assets/tiny were trained; see scripts/train_encoders.py."""
