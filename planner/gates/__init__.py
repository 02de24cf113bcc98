"""A committed scenario and the bands that its capacity must stay in."""
