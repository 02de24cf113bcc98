"""Reports: a prediction or a plan as one file that can be put before others."""
