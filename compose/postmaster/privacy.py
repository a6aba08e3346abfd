"""What keeps keys in memory from reaching a disk: no core dump, and nobody may look in.

Swap is turned off from outside, by the container's limits.
"""

from __future__ import annotations

import ctypes
import os
import resource

from postmaster.errors import StartError

_PR_SET_DUMPABLE = 4  # linux/prctl.h


def keep_memory_private() -> None:
    """Turn core dumps off, and have only root attach to this process. Raises StartError.

    See prctl(2), PR_SET_DUMPABLE: it also closes /proc/PID/mem to the same user.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        raise StartError(f"cannot keep memory private: {os.strerror(ctypes.get_errno())}")
