"""What is fine on this computer, what is missing, and where to get it; nothing is downloaded."""
