"""Pure-Python numerics: a few time steps of five bodies under gravity, then their energy."""

from types import SimpleNamespace

TIME_STEPS = 60
BODIES = (
    (0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 39.47),
    (4.84, -1.16, -0.10, 0.606, 2.81, -0.02, 0.0376),
    (8.34, 4.12, -0.40, -1.01, 1.82, 0.008, 0.0112),
    (12.89, -15.11, -0.22, 1.08, 0.868, -0.01, 0.0017),
    (15.37, -25.9, 0.179, 0.979, 0.594, -0.034, 0.002),
)


def setup() -> SimpleNamespace:
    return SimpleNamespace(bodies=None, result=None)


def place(state: SimpleNamespace) -> None:
    state.bodies = [list(body) for body in BODIES]


def move(state: SimpleNamespace) -> None:
    bodies = state.bodies
    pairs = [(a, b) for i, a in enumerate(bodies) for b in bodies[i + 1 :]]
    for _ in range(TIME_STEPS):
        for a, b in pairs:
            dx, dy, dz = a[0] - b[0], a[1] - b[1], a[2] - b[2]
            pull = 0.001 / (dx * dx + dy * dy + dz * dz) ** 1.5
            for axis, d in enumerate((dx, dy, dz), 3):
                a[axis] -= d * b[6] * pull
                b[axis] += d * a[6] * pull
        for body in bodies:
            for axis in range(3):
                body[axis] += 0.001 * body[axis + 3]


def energy(state: SimpleNamespace) -> None:
    total = 0.0
    for body in state.bodies:
        total += body[6] * sum(speed * speed for speed in body[3:6]) / 2
    state.result = round(total, 9)


STEPS = (
    ("place", "python", "bytecode", place),
    ("move", "python", "bytecode", move),
    ("energy", "python", "bytecode", energy),
)
