"""A real program becomes a workload: how it spends its time, seen from outside.

Import from the modules: nothing is imported here, so that the command line starts at once.
"""
