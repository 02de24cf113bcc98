"""A login service: look a user up, derive the key from the password, write the session."""

import hashlib
from types import SimpleNamespace

ROUNDS = 1200
USERS = 300


def setup() -> SimpleNamespace:
    users = {f"user-{n}": {"salt": n.to_bytes(16, "big"), "seen": n} for n in range(USERS)}
    return SimpleNamespace(users=users, user=None, key=b"", result=None)


def look_up(state: SimpleNamespace) -> None:
    wanted = "user-123"
    close = [name for name in state.users if name[-1] == wanted[-1] and len(name) == len(wanted)]
    state.user = state.users[wanted]
    state.result = len(close)


def derive(state: SimpleNamespace) -> None:
    state.key = hashlib.pbkdf2_hmac("sha256", b"correct horse", state.user["salt"], ROUNDS)


def open_session(state: SimpleNamespace) -> None:
    session = {}
    for number, byte in enumerate(state.key * 12):
        session[f"right-{number}"] = (byte & 1, byte >> 4)
    state.result = (state.key.hex(), sum(right for right, _level in session.values()))


STEPS = (
    ("look_up", "python", "bytecode", look_up),
    ("derive", "released_native", "compute", derive),
    ("open_session", "python", "bytecode", open_session),
)
