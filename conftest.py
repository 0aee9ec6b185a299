"""One thread a process: tests start processes, and two teams of threads on two cores wait for each other."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
