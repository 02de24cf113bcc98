"""Real tasks of the standard library, none of which calibration contains.

Each file has ``setup()``, which makes a worker's own state, and ``STEPS``: (name, kind, work,
step) in order, where ``step(state)`` does the step, ``kind`` is python, held_native,
released_native or wait, and ``work`` is bytecode, compute, memory, or "" for a wait. A step is cut
so that it is as purely of one kind as possible; one that gives up the GIL does so once, or says
how often in a fifth element. The files run by path under every build, in sub-interpreters too.
"""
