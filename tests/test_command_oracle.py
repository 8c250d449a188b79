"""A program as an objective: what it may do, and what becomes of each way of going wrong."""

from __future__ import annotations

import os
import shlex
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from misbehaviour import is_alive, until

from molvae.base.errors import ConfigError, OracleError
from molvae.oracles.answers import call
from molvae.oracles.command import command_objective
from molvae.oracles.evaluator import Evaluator, EvaluatorOptions
from molvae.oracles.objective import Objective

SMILES = ["C", "CC", "CCC"]
HEAD = "import csv, json, os, sys, time\n"
READ = HEAD + "rows = [json.loads(line) for line in sys.stdin]\n"
ANSWER = "print(json.dumps({'id': row['id'], 'value': len(row['smiles'])}), flush=True)\n"


@pytest.fixture
def program(tmp_path: Path) -> Any:
    """Makes an objective of the text of a Python program; ``extra`` are its arguments."""

    def make(text: str, extra: str = "", **options: Any) -> Objective:
        path = tmp_path / "score it.py"
        path.write_text(text)
        command = f"{shlex.quote(sys.executable)} -S {shlex.quote(str(path))} {extra}"
        return command_objective(command.strip(), "maximize", **options)

    return make


def results(objective: Objective, smiles: list[str] = SMILES) -> list[Any]:
    return [o.failure or o.value for o in call(objective, smiles).outcomes]


def test_json_lines_are_answered_in_any_order(program: Any) -> None:
    objective = program(READ + f"for row in reversed(rows):\n    {ANSWER}")
    assert results(objective) == [1.0, 2.0, 3.0]


def test_each_way_to_answer_wrongly_is_that_molecules_failure(program: Any) -> None:
    objective = program(
        READ + "print('Loading the model ...')\n"
        "print('[1, 2]')\n"
        'print(\'{"id": 99, "value": 1}\')\n'
        "for line in ({'id': 0, 'value': 1.5}, {'id': 1, 'error': 'no pose'}, {'id': '2', "
        "'value': '7'}, {'id': 3, 'value': 1}, {'id': 3, 'value': 2}, {'id': 4}, {'id': 5, "
        "'value': float('nan')}):\n    print(json.dumps(line))\n"
        "print('low on disk', file=sys.stderr)\n"
    )
    found = results(objective, [f"{'C' * n}" for n in range(1, 8)])
    assert found[:2] == [1.5, "no pose"]
    assert found[2] == "returned '7' (str), not a number"
    assert "more than once" in found[3]
    assert "neither value nor error" in found[4]
    assert found[5] == "returned nan, not a finite number"
    assert found[6] == (
        "no answer: the command ended well but did not give one; it printed lines that are no "
        "answers such as 'Loading the model ...'; it said: low on disk"
    )


def test_what_was_answered_before_a_bad_end_counts(program: Any) -> None:
    objective = program(
        READ + f"row = rows[0]\n{ANSWER}print('licence expired', file=sys.stderr)\nsys.exit(3)\n"
    )
    found = results(objective)
    assert found[0] == 1.0
    assert found[1] == found[2]
    assert found[1] == "no answer: the command ended with exit code 3; it said: licence expired"


def test_a_program_that_answers_nothing_stops_the_run_with_its_words(program: Any) -> None:
    objective = program(HEAD + "sys.exit('no licence')")
    judge = Evaluator(objective, 9)
    with pytest.raises(OracleError, match="exit code 1; it said: no licence") as error:
        judge.evaluate(SMILES)
    assert "Traceback" not in str(error.value)
    assert judge.used == 0


def test_a_program_that_does_not_read_its_input_is_no_problem(program: Any) -> None:
    many = ["C" * (1 + n % 100) for n in range(20_000)]  # more than a pipe holds
    objective = program(HEAD + 'print(\'{"id": 0, "value": 1}\')')
    assert results(objective, many)[0] == 1.0


@pytest.mark.skipif(not hasattr(os, "killpg"), reason="POSIX process groups")
def test_when_its_time_is_up_the_program_and_its_children_end_and_answers_count(
    program: Any, tmp_path: Path
) -> None:
    objective = program(
        READ + "import subprocess\n"
        "child = subprocess.Popen(['sleep', '60'])\n"
        f"open({str(tmp_path / 'pids')!r}, 'w').write(f'{{os.getpid()}} {{child.pid}}')\n"
        f"row = rows[0]\n{ANSWER}time.sleep(60)\n",
        timeout=0.4,
    )
    begin = time.monotonic()
    found = results(objective)
    assert time.monotonic() - begin < 10
    assert found[0] == 1.0
    assert found[1].startswith("no answer: the command took over 1.2 s and was ended")
    pids = [int(text) for text in (tmp_path / "pids").read_text().split()]
    assert until(lambda: not any(map(is_alive, pids)))


def test_a_time_out_without_any_answer_is_not_tried_again(program: Any) -> None:
    answer = call(program(HEAD + "time.sleep(60)", timeout=0.1), ["C", "CC"])
    assert answer.transient == (False, False)
    assert "took over 0.2 s and was ended" in str(answer.outcomes[0].failure)


CSV = HEAD + (
    "rows = list(csv.DictReader(open(sys.argv[1])))\n"
    "out = csv.writer(open(sys.argv[2], 'w'))\n"
    "out.writerow(['value', 'error', 'id'])\n"
)


def test_csv_in_and_out(program: Any) -> None:
    write = "    out.writerow([len(row['smiles']), '', row['id']])\n"
    objective = program(
        CSV + "for row in rows[::-1]:\n" + write, "{input} {output}", protocol="csv"
    )
    assert results(objective) == [1.0, 2.0, 3.0]


def test_csv_cells_that_are_no_numbers_and_rows_that_are_not_there(program: Any) -> None:
    rows = "for row in (['', '', 0], ['', 'no pose', '1'], ['high', '', 2], [1, '', 'x']):\n"
    objective = program(CSV + rows + "    out.writerow(row)\n", "{input} {output}", protocol="csv")
    found = results(objective, ["C", "CC", "CCC", "CCCC"])
    assert "neither value nor error" in found[0]
    assert found[1] == "no pose"
    assert found[2] == "returned 'high' (str), not a number"
    assert "id 'x', which is no molecule's" in found[3]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("pass", "it wrote no output file"),
        ("open(sys.argv[2], 'w').write('id,score\\n0,1\\n')", "no column value"),
        ("open(sys.argv[2], 'wb').write(bytes(300))", "no column id and no value"),
    ],
)
def test_an_output_file_that_is_none_says_so(program: Any, text: str, reason: str) -> None:
    objective = program(HEAD + text, "{input} {output}", protocol="csv")
    with pytest.raises(OracleError, match=reason):
        Evaluator(objective, 9).evaluate(SMILES)


def test_no_shell_ever_sees_the_command(program: Any, tmp_path: Path) -> None:
    objective = program(
        READ + f"assert sys.argv[1] == '$(touch {tmp_path}/x);'\nfor row in rows:\n    {ANSWER}",
        f"'$(touch {tmp_path}/x);'",
    )
    assert results(objective) == [1.0, 2.0, 3.0]
    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize(
    ("command", "options", "error", "message"),
    [
        ("", {}, ConfigError, "the command is empty"),
        ("score 'x", {}, ConfigError, "quotes do not match"),
        ("sort", {"protocol": "xml"}, ConfigError, "say 'jsonl' or 'csv'"),
        ("sort", {"timeout": 0.0}, ConfigError, "seconds above 0"),
        ("sort {input}", {"protocol": "csv"}, ConfigError, r"has no \{output\}"),
        ("no-such-program-anywhere", {}, OracleError, "there is no program"),
        ("./plain.txt", {}, OracleError, "chmod"),
    ],
)
def test_commands_that_cannot_work_are_refused_before_the_run(
    command: str,
    options: Any,
    error: type[Exception],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "plain.txt").write_text("x")
    with pytest.raises(error, match=message):
        command_objective(command, "maximize", **options)


def test_a_script_without_a_first_line_is_told_what_it_lacks(tmp_path: Path) -> None:
    script = tmp_path / "score"
    script.write_bytes(b"\0nonsense")
    script.chmod(0o755)
    with pytest.raises(OracleError, match="needs a first line such as #!/bin/sh"):
        Evaluator(command_objective(str(script), "maximize"), 9).evaluate(SMILES)


@pytest.mark.slow
def test_a_command_in_worker_processes_ends_with_them(program: Any, tmp_path: Path) -> None:
    note = tmp_path / "pid"
    objective = program(
        READ + "if rows[0]['smiles'] == 'N':\n"
        f"    open({str(note)!r}, 'w').write(str(os.getpid()))\n    time.sleep(60)\n"
        f"for row in rows:\n    {ANSWER}"
    )
    options = EvaluatorOptions(workers=2, timeout=2.0, chunk=1)
    with Evaluator(objective, 9, options=options) as judge:
        outcomes = judge.evaluate(["C", "N", "CC"])
    assert [o.failure for o in outcomes] == [None, "took over 2 s", None]
    assert until(lambda: not is_alive(int(note.read_text())))
