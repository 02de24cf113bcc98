"""Tiny requests over a socket pair: every send and receive is a short system call without GIL.

Both ends are in the same thread, so a receive always finds its message and never blocks.
"""

import socket
import struct
from types import SimpleNamespace

REQUESTS = 12
HEADER = struct.Struct("!IIQ")


def setup() -> SimpleNamespace:
    client, server = socket.socketpair()
    return SimpleNamespace(
        client=client, server=server, number=0, message=b"", total=0, result=None, done=0
    )


def encode(state: SimpleNamespace) -> None:
    state.number = (state.number + 1) % 1000
    fields = {f"field-{index}": index * state.number for index in range(60)}
    body = ";".join(f"{name}={value}" for name, value in fields.items()).encode()
    state.message = HEADER.pack(state.number, len(body), sum(fields.values())) + body


def send(state: SimpleNamespace) -> None:
    state.client.send(state.message)


def receive(state: SimpleNamespace) -> None:
    state.message = state.server.recv(65536)


def handle(state: SimpleNamespace) -> None:
    number, length, expected = HEADER.unpack_from(state.message)
    fields = state.message[HEADER.size :].decode().split(";")
    total = sum(int(field.partition("=")[2]) for field in fields)
    state.message = HEADER.pack(number, length, total)
    state.total = int(total == expected)


def answer(state: SimpleNamespace) -> None:
    state.server.send(state.message)


def collect(state: SimpleNamespace) -> None:
    state.message = state.client.recv(65536)


def finish(state: SimpleNamespace) -> None:
    state.result = (len(state.message), state.total)


STEPS = (
    *(
        (
            ("encode", "python", "bytecode", encode),
            ("send", "released_native", "compute", send),
            ("receive", "released_native", "compute", receive),
            ("handle", "python", "bytecode", handle),
            ("answer", "released_native", "compute", answer),
            ("collect", "released_native", "compute", collect),
        )
        * REQUESTS
    ),
    ("finish", "python", "bytecode", finish),
)
