"""How much memory a process took."""

import re
import sys
from pathlib import Path


def peak():
    """The most memory that this process has had, in bytes.

    On Linux `resource` answers with that of the process that started this one, where that was more.
    """
    status = Path("/proc/self/status")
    if status.exists():
        return 1024 * int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1])
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (
        1 if sys.platform == "darwin" else 1024
    )
