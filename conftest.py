"""One thread a process: tests start processes, and two teams of threads on two cores wait for each other.

And bytecode is kept: an image that forbids it has each of those processes compile thousands of modules again.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
