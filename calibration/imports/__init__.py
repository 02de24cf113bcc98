"""What other tools measured becomes a workload: py-spy, Tachyon, pyperf.

Import from the modules: nothing is imported here, so that the command line starts at once.
"""
