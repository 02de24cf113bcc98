"""Sweeps: a grid over the fields of a scenario, run where it is missing, kept in a store."""
