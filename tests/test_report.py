"""Pages that open offline and show what was really found."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from matplotlib.figure import Figure

from molvae.base.errors import MolvaeError
from molvae.chem.similarity import nearest_molecules
from molvae.optimize.result import Result
from molvae.optimize.store import Observation, Suggestion
from molvae.oracles.evaluator import Outcome
from molvae.oracles.functions import property_objective
from molvae.report.drawing import molecule_svg
from molvae.report.optimisation import optimisation_page, proposals
from molvae.report.page import Page

ASPIRIN, BENZENE, ETHANOL = "CC(=O)Oc1ccccc1C(=O)O", "c1ccccc1", "CCO"
VOID = {"meta", "br", "img", "link", "hr", "path", "rect", "ellipse"}


class Balance(HTMLParser):
    """Fails on tags that do not close in order."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []

    def handle_starttag(self, tag, attrs):
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        if tag not in VOID:
            assert self.open.pop() == tag


def balanced(html: str) -> bool:
    parser = Balance()
    parser.feed(html)
    return parser.open == []


def observation(order: int, smiles: str, value: float, failure: str | None = None) -> Observation:
    suggestion = Suggestion(smiles, order // 2, "prior", np.zeros(2), None)
    return Observation(order, suggestion, Outcome(value, failure))


@pytest.fixture
def result() -> Result:
    found = (
        observation(1, BENZENE, 0.44),
        observation(2, ASPIRIN, 0.55),
        observation(3, ETHANOL, float("nan"), "the assay burnt down"),
    )
    return Result(property_objective("qed", "maximize"), found, "budget used")


def test_the_page_needs_nothing_from_outside() -> None:
    page = Page("Title", "lead")
    page.heading("Part")
    page.text("words")
    page.table([{"a": 1, "b": 0.25}])
    page.molecules([{"smiles": ASPIRIN, "qed": 0.55}])
    figure = Figure()
    figure.subplots().plot([1, 2])
    page.figure(figure, "a line")
    html = page.html()
    assert balanced(html)
    outside = re.findall(r"""(?:src|href)\s*=\s*["'](?!data:|#)([^"']*)""", html)
    assert outside == []
    assert "url(" not in html
    assert "<script" not in html
    assert html.count("<svg") == 1


def test_text_from_outside_cannot_become_markup() -> None:
    page = Page("<script>alert(1)</script>", "a & b < c")
    page.table([{"<b>": "<img src=x onerror=1>"}])
    html = page.html()
    assert "<script" not in html
    assert "<img" not in html
    assert "a &amp; b &lt; c" in html


def test_a_missing_number_is_a_dash_not_nan() -> None:
    page = Page("t")
    page.table([{"a": float("nan"), "b": None}])
    assert "nan" not in page.html().split("<table>")[1].lower()


def test_a_drawing_of_no_molecule_is_a_clear_error() -> None:
    with pytest.raises(MolvaeError, match="C1CC"):
        molecule_svg("C1CC")


def test_proposals_are_ranked_and_failures_are_not_proposed(result: Result) -> None:
    rows = proposals(result, [ETHANOL, ASPIRIN], workers=1)
    assert [(row["rank"], row["smiles"]) for row in rows] == [(1, ASPIRIN), (2, BENZENE)]
    assert rows[0]["nearest_training"] == ASPIRIN
    assert rows[0]["similarity"] == 1.0
    assert rows[1]["similarity"] < 1.0
    assert rows[0]["qed"] == pytest.approx(0.5501, abs=1e-3)
    assert "phenol_ester" in rows[0]["alerts"]


def test_proposals_without_training_molecules_claim_no_neighbour(result: Result) -> None:
    assert "similarity" not in proposals(result)[0]


def test_the_page_says_what_was_optimised_and_that_nothing_else_was(result, tmp_path) -> None:
    rows = proposals(result, [ETHANOL, ASPIRIN], workers=1)
    (tmp_path / "history.csv").write_text("step,train_kl\n1,2.0\n2,3.0\n")
    page = optimisation_page(result, rows, model=tmp_path)
    page.write(tmp_path / "report.html")
    html = (tmp_path / "report.html").read_text()
    assert balanced(html)
    assert "maximise qed" in html
    assert "Nothing but the stated objective was optimised" in html
    assert "3 molecules were evaluated (budget used), 1 of them failed" in html
    assert "itself" in html
    assert "How the model was trained" in html
    assert html.count("<svg") == 2


@pytest.mark.parametrize("workers", [1, 2])
def test_nearest_training_molecules_do_not_depend_on_blocks_or_processes(workers, monkeypatch):
    import molvae.chem.similarity as module

    reference = ["CCCO", "bad(", "c1ccccc1C", ETHANOL, "CCN"] * 3
    whole = nearest_molecules([ETHANOL, BENZENE, "C1"], reference, workers=1)
    monkeypatch.setattr(module, "_REFERENCES", 4)
    found, value = nearest_molecules([ETHANOL, BENZENE, "C1"], reference, workers=workers)
    assert found == whole[0] == [ETHANOL, "c1ccccc1C", None]
    np.testing.assert_array_equal(value, whole[1])
