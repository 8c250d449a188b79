"""A program as an objective: molecules in and values out, as JSON lines or as CSV files.

The program is started without a shell, in a session of its own, once for each list of molecules.
What it answers counts even where it fails or is ended later; a molecule that it does not answer
gets everything that is known of why.
"""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, get_args

from molvae.base.errors import ConfigError, OracleError
from molvae.oracles.objective import Direction, Objective
from molvae.oracles.replies import Replies, read_csv, read_json_lines, write_csv, write_json_lines

Protocol = Literal["jsonl", "csv"]

_READ_AT_MOST = 64 << 20
_GRACE = 1.0
_SHOWN = 300


def command_objective(
    command: str,
    direction: Direction,
    *,
    protocol: Protocol = "jsonl",
    timeout: float | None = None,
) -> Objective:
    """The objective that a program computes.

    ``jsonl``: the program reads lines ``{"id": 0, "smiles": "CCO"}`` from its standard input and
    prints, in any order, lines ``{"id": 0, "value": 0.4}`` or ``{"id": 0, "error": "no pose"}``.
    Other lines are passed over. ``csv``: ``{input}`` in the command becomes the path of a file
    with the columns id and smiles, ``{output}`` the path at which the program writes a file with
    the columns id and value, and perhaps error.

    Args:
        command: program and arguments, quoted as for a shell, which it does not go through.
        direction: maximize or minimize.
        protocol: jsonl or csv.
        timeout: seconds for each molecule: n of them have n times as long together. Then the
            program is ended, with all that it started.

    Raises:
        ConfigError: the command is empty or badly quoted, or lacks what its protocol needs.
        OracleError: there is no such program, or it may not be executed.

    >>> print(command_objective("sort --numeric-sort", "maximize"))
    maximise sort --numeric-sort
    """
    if protocol not in get_args(Protocol):
        raise ConfigError(f"command {command!r}: protocol is {protocol!r}; say 'jsonl' or 'csv'")
    if timeout is not None and not (math.isfinite(timeout) and timeout > 0):
        raise ConfigError(f"command {command!r}: timeout is {timeout}; give seconds above 0")
    try:
        words = shlex.split(command)
    except ValueError as error:
        raise ConfigError(f"command {command!r}: its quotes do not match ({error})") from error
    if not words:
        raise ConfigError("the command is empty; write the program and its arguments")
    lacking = [p for p in ("{input}", "{output}") if not any(p in word for word in words)]
    if protocol == "csv" and lacking:
        raise ConfigError(
            f"command {command!r} has no {' and no '.join(lacking)}, where the names of the CSV "
            "files go; add it, or use the protocol jsonl"
        )
    _require_program(command, words[0])
    function = Command(command, tuple(words), protocol, timeout)
    return Objective(command, function, direction, batch=True, definition={"protocol": protocol})


@dataclass(frozen=True)
class Command:
    """The function of :func:`command_objective`: a list of SMILES in, values and errors out."""

    command: str
    words: tuple[str, ...]
    protocol: Protocol
    timeout: float | None

    def __call__(self, smiles: Sequence[str]) -> list[Any]:
        """A number or an :class:`OracleError` for each molecule.

        Raises :class:`OracleError` where the program answers for none of them. That is not tried
        again, even where the program ran out of its time: it has had n molecules' worth of it.
        """
        with tempfile.TemporaryDirectory(prefix="molvae-") as folder:
            place = Path(folder)
            ending, replies = self._run(smiles, place)
            stderr = _tail(place / "stderr")
        found = [replies.of(position) for position in range(len(smiles))]
        if not any(answer is not None for answer in found):
            raise OracleError(
                f"command {self.command!r} {_sentence(ending, replies.remark, stderr)}"
            )
        missing = OracleError(f"no answer: the command {_sentence(ending, replies.remark, stderr)}")
        return [missing if answer is None else answer for answer in found]

    def _run(self, smiles: Sequence[str], place: Path) -> tuple[str, Replies]:
        """Run the program in files of ``place``; how it ended, and what it answered."""
        source, target = place / "input", place / "output"
        words = list(self.words)
        if self.protocol == "csv":
            source, target = place / "input.csv", place / "output.csv"
            write_csv(source, smiles)
            words = [
                w.replace("{input}", str(source)).replace("{output}", str(target)) for w in words
            ]
            with open(os.devnull, "rb") as nothing, open(place / "stdout", "wb") as said:
                ending = self._wait(words, nothing, said, place, len(smiles))
            return ending, read_csv(target, len(smiles), _READ_AT_MOST)
        write_json_lines(source, smiles)
        with open(source, "rb") as given, open(target, "wb") as said:
            ending = self._wait(words, given, said, place, len(smiles))
        return ending, read_json_lines(target, len(smiles), _READ_AT_MOST)

    def _wait(
        self, words: list[str], stdin: IO[bytes], stdout: IO[bytes], place: Path, n: int
    ) -> str:
        """Start the program and wait for its end; how that was, "" if all was well."""
        seconds = None if self.timeout is None else self.timeout * n
        with open(place / "stderr", "wb") as stderr:
            try:
                process = subprocess.Popen(
                    words, stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True
                )
            except OSError as error:
                raise OracleError(
                    f"command {self.command!r} cannot be started: {error.strerror or error}; "
                    "a script needs a first line such as #!/bin/sh"
                ) from error
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                return f"took over {seconds:g} s and was ended"
            finally:
                if process.returncode is None:  # the time is up, or Ctrl-C
                    _end(process)
        if code < 0:
            return f"was ended by signal {-code} ({signal.Signals(-code).name})"
        return f"ended with exit code {code}" if code else ""


def _require_program(command: str, program: str) -> None:
    if shutil.which(program) is not None:
        return
    if Path(program).is_file():
        raise OracleError(
            f"command {command!r}: {program} may not be executed; make it executable "
            f"(chmod +x {program}), or name its interpreter first"
        )
    near = "" if os.sep in program or not Path(program).exists() else f" (or ./{program})"
    raise OracleError(
        f"command {command!r}: there is no program {program!r}{near}; check its path and spelling"
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """End the program and all that it started: politely, then for good."""
    _signal(process, signal.SIGTERM)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_GRACE)
    if hasattr(signal, "SIGKILL"):
        _signal(process, signal.SIGKILL)
    process.kill()
    process.wait()


def _signal(process: subprocess.Popen[bytes], number: signal.Signals) -> None:
    if hasattr(os, "killpg"):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, number)
    else:
        process.terminate()


def _sentence(ending: str, remark: str, stderr: str) -> str:
    """How the program ended, what it printed instead of answers, and what it said of it."""
    parts = [ending or "ended well but did not give one"]
    parts += [remark] if remark else []
    parts += [f"it said: {stderr}"] if stderr else []
    return "; ".join(parts)


def _tail(path: Path) -> str:
    """The end of what is in a file, as one line."""
    with open(path, "rb") as stream:
        size = stream.seek(0, os.SEEK_END)
        stream.seek(max(0, size - 8 * _SHOWN))
        text = " ".join(stream.read().decode("utf-8", "replace").split())
    return text if len(text) <= _SHOWN else "..." + text[-_SHOWN:]
