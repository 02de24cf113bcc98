"""The inverse question: which layout meets a target, with what margin, and why."""
