"""From real measurements to parameters: microbenchmarks, fits, profiles, validation.

Import from the modules: nothing is imported here, so that the command line starts at once.
"""
