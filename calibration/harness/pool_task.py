"""Tasks for executors: a module, so that interpreters and processes can import them by name."""


def spin(rounds: int) -> int:
    """Compute in bytecode, some tens of nanoseconds a round."""
    total = 0
    for number in range(rounds):
        total = (total * 31 + number) & 0xFFFFF
    return total
