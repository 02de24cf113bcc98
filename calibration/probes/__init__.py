"""Scripts that show how a build behaves: standard library only, run by path, one JSON object."""
