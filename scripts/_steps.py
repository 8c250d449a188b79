"""Commands of ``molvae`` in a row, each printed before it runs; what is done is not done again."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Step:
    """One command, what it is for, and the file that stands once it is done.

    No file: the command itself sees how far it is, and goes on from there. ``before`` it, what it
    reads is written, where no command does that.
    """

    title: str
    command: str
    result: Path | None = None
    before: Callable[[], None] | None = None


def run_steps(steps: Sequence[Step], out: Path, environment: Mapping[str, str]) -> int:
    """Run the steps that are not done yet; the exit code of the first that fails, else 0.

    How long each took is kept in ``out/seconds.json``. ``environment`` gives way to variables that
    are set already.
    """
    out.mkdir(parents=True, exist_ok=True)
    taken = read_seconds(out)
    for number, step in enumerate(steps, start=1):
        print(f"\n[{number}/{len(steps)}] {step.title}\n$ {step.command}", flush=True)
        if step.result is not None and step.result.exists():
            print(f"    {step.result} is there already; remove it to do this step again")
            continue
        started = time.monotonic()
        if step.before is not None:
            step.before()
        command = [sys.executable, "-m", *shlex.split(step.command)]
        code = subprocess.run(command, env={**environment, **os.environ}).returncode
        seconds = time.monotonic() - started
        if code:
            print(f"this step failed (exit code {code}); the same command goes on from here")
            return code
        print(f"    {seconds:.0f} s", flush=True)
        # A step that saw that it was done long ago takes nothing away from what it took then.
        taken[step.title] = max(seconds, taken.get(step.title, 0.0))
        (out / "seconds.json").write_text(json.dumps(taken, indent=2))
    return 0


def read_seconds(out: Path) -> dict[str, float]:
    """How long each step that is done took, by its title."""
    file = out / "seconds.json"
    return dict(json.loads(file.read_text())) if file.exists() else {}
