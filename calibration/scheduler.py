"""What the kernel says of its fair scheduler: its base slice and its tick.

The base slice (``base_slice_ns``) is in debugfs, which only root reads and not every kernel has;
since Linux 6.12 `sched_getattr(2)` tells it of each thread, in ``sched_runtime``. The resolution
of the coarse clocks is the tick (`clock_getres(2)`).
"""

import ctypes
import platform
import struct
import time

#: Of the system call, by architecture (arch/*/include/.../unistd_64.h; the generic table).
SCHED_GETATTR = {"x86_64": 315, "aarch64": 275, "riscv64": 275}
#: struct sched_attr, version 1: size, policy, flags, nice, priority, runtime, deadline, period,
#: util_min, util_max.
ATTRIBUTES = struct.Struct("IIQiIQQQII")
CLOCK_MONOTONIC_COARSE = 6
#: sysctl_sched_base_slice before its scaling by the number of CPUs (fair.c; 0.75 ms until 6.13).
UNSCALED_SLICE = 0.0007


def read_base_slice(cores: int) -> float:
    """Return the base slice in seconds: as told by the kernel, else by its rule for ``cores``."""
    number = SCHED_GETATTR.get(platform.machine())
    if number is not None:
        buffer = ctypes.create_string_buffer(ATTRIBUTES.size)
        failed = ctypes.CDLL(None).syscall(number, 0, buffer, ATTRIBUTES.size, 0)
        runtime = 0 if failed else ATTRIBUTES.unpack(buffer.raw)[5]
        if runtime:
            return float(runtime) * 1e-9
    return scaled_slice(cores)


def scaled_slice(cores: int) -> float:
    """Return the kernel's default for a number of CPUs (SCHED_TUNABLESCALING_LOG)."""
    return UNSCALED_SLICE * min(cores, 8).bit_length()


def read_tick() -> float:
    """Return the time between two ticks of the timer in seconds."""
    return time.clock_getres(CLOCK_MONOTONIC_COARSE)
