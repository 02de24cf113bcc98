"""Where in a function a probe is cheap.

The kernel replaces an instruction by a trap and then executes the original. Pushes, jumps, calls
and no-ops it does itself; any other it runs out of line in single-step mode, whose second trap
costs a virtual machine an exit to its host: measured, 1 us against 10 to 15 us. A probe set on
the first instruction that the kernel does itself, before anything of interest has happened, sees
the same and disturbs less. (arch/x86/kernel/uprobes.c, Linux 6.18: push_setup_xol_ops,
branch_setup_xol_ops.) Where the code is not understood the function's entry is as good a place,
only dearer.
"""

SEARCH = 80
#: Opcodes with a ModRM byte, and the length of the immediate operand that follows.
WITH_MODRM = {
    **dict.fromkeys((0x89, 0x8B, 0x8D, 0x85, 0x31, 0x33, 0x39, 0x3B, 0x63), 0),
    **dict.fromkeys((0x80, 0x83, 0xC6), 1),
    **dict.fromkeys((0x81, 0xC7), 4),
}
#: Of these only the flags or a register change, never the stack: the return address stays on top.
KEEPS_STACK = (0x85, 0x8B, 0x8D, 0x31, 0x33, 0x39, 0x3B)
END_BRANCH = b"\xf3\x0f\x1e\xfa"
STACK_POINTER = 4


def cheap_place(code: bytes, *, at_return: bool) -> int:
    """Return how many bytes after the entry a probe is cheap, 0 where none is found.

    ``code``: the function's first bytes (x86-64). With ``at_return`` the place must have the
    return address on top of the stack, for the kernel replaces that.
    """
    place = 0
    while place < min(len(code), SEARCH) - 16:
        rest = code[place:]
        if _done_by_kernel(rest):
            return place
        length = _plain_length(rest, keeps_stack=at_return)
        if not length:
            return 0
        place += length
    return 0


def _done_by_kernel(code: bytes) -> bool:
    """Whether it is a push, a near jump or call, or a one-byte no-op."""
    first = code[1] if code[0] == 0x41 else code[0]
    if 0x50 <= first <= 0x57:
        return True
    conditional = code[0] == 0x0F and 0x80 <= code[1] <= 0x8F
    return conditional or 0x70 <= code[0] <= 0x7F or code[0] in (0xE8, 0xE9, 0xEB, 0x90)


def _plain_length(code: bytes, *, keeps_stack: bool) -> int:
    """Return the length of an instruction that moves on to the next, 0 if it is not known."""
    if code.startswith(END_BRANCH):
        return len(END_BRANCH)
    place = 0
    while code[place] in (0x64, 0x65, 0x66):
        place += 1
    if code[place] & 0xF0 == 0x40:
        place += 1
    opcode = code[place]
    if opcode not in WITH_MODRM or (keeps_stack and opcode not in KEEPS_STACK):
        return 0
    modrm = code[place + 1]
    mode, register, memory = modrm >> 6, modrm >> 3 & 7, modrm & 7
    if keeps_stack and opcode in (0x8B, 0x8D, 0x33) and register == STACK_POINTER:
        return 0
    if keeps_stack and opcode in (0x31,) and (mode != 3 or memory == STACK_POINTER):
        return 0
    length = place + 2 + WITH_MODRM[opcode]
    if mode != 3:
        absolute = False
        if memory == 4:
            length += 1
            absolute = mode == 0 and code[place + 2] & 7 == 5
        elif mode == 0 and memory == 5:
            absolute = True
        length += 4 if mode == 2 or absolute else 1 if mode == 1 else 0
    return length - 2 if opcode in (0x81, 0xC7) and 0x66 in code[:place] else length
