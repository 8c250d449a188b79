"""What a program is given and what it replies, in either protocol of a command objective."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from molvae.base.errors import OracleError

_SHOWN = 80


class Replies:
    """Answers by the place of the molecule in the list, and a remark on what was no answer."""

    def __init__(self, n: int) -> None:
        self._n = n
        self._answers: dict[int, Any] = {}
        self._repeated: set[int] = set()
        self.remark = ""
        self._strange = 0

    def add(self, identifier: Any, reply: Mapping[str, Any], text: str) -> None:
        """Take a reply with its ``id``; one that is for no molecule is only remarked on."""
        place = _place(identifier)
        if place is None or not 0 <= place < self._n:
            self.strange(f"id {_short(identifier)}, which is no molecule's,", text)
        elif place in self._answers:
            self._repeated.add(place)
        elif reply.get("error") not in (None, ""):
            self._answers[place] = OracleError(str(reply["error"]))
        elif "value" not in reply or reply["value"] is None:
            self._answers[place] = OracleError("the command gave it neither value nor error")
        else:
            self._answers[place] = reply["value"]

    def strange(self, what: str, text: str) -> None:
        """Remember output that answers for no molecule; the first of it is shown."""
        self._strange += 1
        if self._strange == 1:
            self.remark = f"it printed {what} such as {_short(text)}"

    def of(self, place: int) -> Any:
        """The answer for a molecule: a value, an error, or None where there is none."""
        if place in self._repeated:
            return OracleError("the command answered it more than once; which is right?")
        return self._answers.get(place)


def write_json_lines(path: Path, smiles: Sequence[str]) -> None:
    """One line ``{"id": i, "smiles": s}`` for each molecule."""
    lines = (json.dumps({"id": i, "smiles": s}) + "\n" for i, s in enumerate(smiles))
    path.write_text("".join(lines), encoding="utf-8")


def read_json_lines(path: Path, n: int, limit: int) -> Replies:
    """The replies among the lines of a file, of which ``limit`` bytes are read."""
    replies = Replies(n)
    for line in _text(path, limit).splitlines():
        try:
            reply = json.loads(line) if line.strip() else None
        except (ValueError, RecursionError):
            reply = line
        if isinstance(reply, dict) and "id" in reply:
            replies.add(reply["id"], reply, line)
        elif reply is not None:
            replies.strange("lines that are no answers", line)
    return replies


def write_csv(path: Path, smiles: Sequence[str]) -> None:
    """A table of id and smiles."""
    with open(path, "w", encoding="utf-8", newline="") as out:
        table = csv.writer(out)
        table.writerow(("id", "smiles"))
        table.writerows(enumerate(smiles))


def read_csv(path: Path, n: int, limit: int) -> Replies:
    """The replies in a table of id, value and perhaps error, of which ``limit`` bytes are read."""
    replies = Replies(n)
    if not path.is_file():
        replies.remark = "it wrote no output file"
        return replies
    rows = csv.DictReader(io.StringIO(_text(path, limit)))
    try:
        missing = [name for name in ("id", "value") if name not in (rows.fieldnames or ())]
        if missing:
            given = ", ".join(rows.fieldnames or ()) or "none"
            replies.remark = (
                f"its output file has no column {' and no '.join(missing)} (columns: {given})"
            )
            return replies
        for row in rows:
            reply = {"value": _number(row["value"]), "error": row.get("error")}
            replies.add(row["id"], reply, ",".join(map(str, row.values())))
    except csv.Error as error:
        replies.remark = f"its output file is no CSV ({error})"
    return replies


def _text(path: Path, limit: int) -> str:
    with open(path, "rb") as stream:
        return stream.read(limit).decode("utf-8-sig", "replace")


def _number(cell: str | None) -> Any:
    """A cell's number; its text where it is none, None where it is empty."""
    if cell is None or not cell.strip():
        return None
    try:
        return float(cell)
    except ValueError:
        return cell


def _place(identifier: Any) -> int | None:
    if isinstance(identifier, bool):
        return None
    if isinstance(identifier, str) and re.fullmatch(r"\s*\d{1,9}\s*", identifier):
        return int(identifier)
    return identifier if isinstance(identifier, int) else None


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
