"""Objectives that hang, crash and worse, for the tests of workers; each by the molecule."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

FOLDER = "MOLVAE_TEST_FOLDER"
"""Environment variable: where :func:`log` and :func:`first_time` keep their files."""


def log(smiles: str) -> None:
    """Note one call, whatever the process."""
    with open(Path(os.environ[FOLDER], "calls"), "a") as out:
        out.write(f"{smiles}\n")


def calls() -> list[str]:
    return Path(os.environ[FOLDER], "calls").read_text().split()


def first_time(smiles: str) -> bool:
    try:
        Path(os.environ[FOLDER], f"seen-{smiles}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def unruly(smiles: str) -> float:
    """The number of characters, but N hangs, O crashes, P eats memory, S raises, F exits."""
    log(smiles)
    if smiles == "N":
        time.sleep(60)
    if smiles == "O":
        os.kill(os.getpid(), signal.SIGSEGV)
    if smiles == "P":
        return float(len(bytearray(4 << 30)))
    if smiles == "S":
        raise ValueError("no pocket")
    if smiles == "F":
        raise SystemExit(3)
    return float(len(smiles))


def unruly_list(smiles: Sequence[str]) -> list[float]:
    return [unruly(text) for text in smiles]


def shaky(smiles: str) -> float:
    """Fails in passing at each molecule's first try: N by a connection, O by a crash, P hangs."""
    log(smiles)
    if first_time(smiles):
        if smiles == "N":
            raise ConnectionResetError("the server went away")
        if smiles == "O":
            os.kill(os.getpid(), signal.SIGKILL)
        if smiles == "P":
            time.sleep(60)
    return float(len(smiles))


def hang_with_child(smiles: str) -> float:
    """Starts a program that would outlive it, and hangs."""
    child = subprocess.Popen(["sleep", "60"])
    Path(os.environ[FOLDER], "child").write_text(f"{os.getpid()} {child.pid}")
    time.sleep(60)
    return 0.0


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    state = Path(f"/proc/{pid}/stat")
    return not state.exists() or state.read_text().rpartition(")")[2].split()[0] != "Z"


def until(condition: Any, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False
