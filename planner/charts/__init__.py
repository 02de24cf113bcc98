"""Charts of what gilplan predicts, measures and recommends: one function each, Altair charts."""
