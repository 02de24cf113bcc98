"""The questions people ask, predict and rank, and the command line that asks them.

Import from the modules: nothing is imported here, so that the command line starts at once.
"""
