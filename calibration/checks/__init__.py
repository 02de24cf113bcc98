"""Can a program move? Its modules, imported where it would run."""
