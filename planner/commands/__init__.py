"""The command line's commands, one file each. They import what is heavy only when they run."""
