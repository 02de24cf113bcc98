"""Scripts that run under any CPython build, by file path: standard library only."""
