"""Processes of a screen: none outlives the command that started it."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

PARENT = """
import os, time
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from g2m_cli.interpretation.screen_workers import _listen

context = get_context("spawn")
with ProcessPoolExecutor(2, mp_context=context, initializer=_listen, initargs=(context.Event(),)) as pool:
    busy, idle = pool.submit(time.sleep, 600), pool.submit(os.getpid)
    idle.result()
    print(*pool._processes, flush=True)
    time.sleep(600)
"""


def test_workers_busy_and_idle_end_when_the_command_alone_is_killed():
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, text=True) as command:
        workers = [int(pid) for pid in command.stdout.readline().split()]
        assert len(workers) == 2
        assert all(map(alive, workers))
        os.kill(command.pid, signal.SIGKILL)
    try:
        deadline = time.monotonic() + 20
        while any(map(alive, workers)) and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not any(map(alive, workers))
    finally:
        for pid in filter(alive, workers):
            os.kill(pid, signal.SIGKILL)


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False
