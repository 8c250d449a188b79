"""``molvae explore``: tables, pictures and pages, and what is refused before the work begins."""

from __future__ import annotations

import csv
import io
import json
import re
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

import molvae
import molvae.generator
from molvae.base.errors import ConfigError, FileError, InputError, MolvaeError
from molvae.cli.app import app
from molvae.generator import Generator

LEAD, OTHER = "CC(=O)Nc1ccc(O)cc1", "CC(=O)Oc1ccccc1C(=O)O"


def run(command: str, *arguments: object) -> Any:
    """Run a sub-command in this process; its errors of molvae's own are raised."""
    result = CliRunner().invoke(app, ["explore", command, *(str(a) for a in arguments)])
    if isinstance(result.exception, molvae.MolvaeError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result


def rows(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture(scope="module")
def generator(tiny_model: Path) -> Generator:
    return molvae.load(tiny_model, "cpu")


@pytest.fixture(scope="module")
def file(zinc: list[str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """120 molecules with a measurement and a class, and one that is none."""
    path = tmp_path_factory.mktemp("explore") / "molecules.csv"
    lines = [f"{s},{i},{int('F' in s)}" for i, s in enumerate(zinc[:120])]
    path.write_text("\n".join(["smiles,activity,fluoro", *lines, "C1CC,1,0"]) + "\n")
    return path


def test_a_way_is_a_table_and_a_drawing(tiny_model: Path, tmp_path: Path) -> None:
    flags = ["--points", 4, "--property", "logp"]
    picture = tmp_path / "way.svg"
    found = run("interpolate", tiny_model, LEAD, OTHER, *flags, "--picture", picture)
    table = rows(found.stdout)
    assert [float(row["t"]) for row in table] == pytest.approx([0, 1 / 3, 2 / 3, 1])
    assert list(table[0])[-2:] == ["sane", "logp"]
    assert picture.read_text().count("<svg") == 1
    assert "4 points" in found.stderr
    page = tmp_path / "way.html"
    told = run("interpolate", tiny_model, LEAD, OTHER, "--distinct", "--json", "--picture", page)
    smiles = json.loads(told.stdout)["smiles"]
    assert all(a != b for a, b in pairwise(smiles))
    html = page.read_text()
    assert html.count("<svg") == len(smiles)
    assert not re.search(r"""(?:src|href)\s*=\s*["'](?!data:|#)""", html)


def test_an_end_that_does_not_come_back_is_named_on_standard_error(
    tiny_model: Path, generator: Generator
) -> None:
    begins, ends = generator.reconstruct([LEAD, OTHER])
    assert begins != LEAD
    told = run("interpolate", tiny_model, LEAD, OTHER, "--points", 3, "--distinct").stderr
    assert f"{LEAD} does not come back from this model's latent space: it decodes to" in told
    assert f"{begins}; the way begins there" in told
    assert f"{ends}; the way ends there" in told
    assert "does not come back" not in run("interpolate", tiny_model, LEAD, OTHER, "-q").stderr


def test_analogues_are_a_table_and_a_drawing(tiny_model: Path, tmp_path: Path) -> None:
    out, picture = tmp_path / "near.csv", tmp_path / "near.png"
    flags = ["-n", 3, "--similarity", 0, 1, "-o", out, "--picture", picture]
    told = run("analogues", tiny_model, LEAD, *flags)
    assert len(rows(out.read_text())) == 3
    assert picture.read_bytes().startswith(b"\x89PNG")
    assert "3 of 3 analogues" in told.stderr


@pytest.mark.slow
def test_arithmetic_measures_its_success_and_changes_a_file(
    tiny_model: Path, file: Path, tmp_path: Path
) -> None:
    out, page = tmp_path / "changed.csv", tmp_path / "changed.html"
    flags = ["--held-out", 4, "--similarity", 0, "--strength", 2, "--strength", 5, "--any"]
    told = run("arithmetic", tiny_model, file, "--smarts", "[F]", *flags, "--json").stdout
    found = json.loads(told)
    assert found["success"]["molecules"] == 4
    assert len(found["changes"]["smiles"]) == 4
    few = tmp_path / "few.smi"
    few.write_text("CCCCc1ccccc1\nCCF\nC1CC\n")
    flags += ["--to", few, "-o", out, "--picture", page]
    told = run("arithmetic", tiny_model, file, "--label", "fluoro", *flags)
    table = rows(out.read_text())
    assert [row["start_smiles"] for row in table] == ["CCCCc1ccccc1", "CCF", "C1CC"]
    assert "a guess by its fingerprint" in told.stderr
    assert "ring 1 is not closed" in told.stderr
    assert page.read_text().startswith("<!doctype html>")


def test_directions_are_a_table_with_a_row_for_each_property(
    tiny_model: Path, file: Path, tmp_path: Path
) -> None:
    out, page = tmp_path / "which.csv", tmp_path / "which.html"
    run("directions", tiny_model, file, "--property", "logp", "--property", "rings", "-o", out,
        "--picture", page)  # fmt: skip
    table = rows(out.read_text())
    assert [row["property"] for row in table] == ["logp", "rings"]
    assert all(0 <= float(row["gap"]) <= 1 for row in table)
    assert page.read_text().count('<div class="strip">') == 4


def test_a_map_is_one_page_that_needs_nothing_else(
    tiny_model: Path, file: Path, tmp_path: Path
) -> None:
    page = tmp_path / "map.html"
    flags = ["--label", "activity", "--property", "logp", "--limit", 20, "-o", page]
    told = run("map", tiny_model, file, *flags)
    assert "20 molecules, a random part of 120" in told.stderr
    assert "1 of 121 rows could not be encoded" in told.stderr
    html = page.read_text()
    assert "They are a random part of 120." in html
    assert not re.search(
        r"""(?:src|href)\s*=\s*["'](?!data:|#)|url\(|https?://(?!www\.w3\.org)""", html
    )
    found = re.search(r'id="map-data">(.*?)</script>', html, re.S)
    assert found is not None
    data = json.loads(found[1])
    assert len(data["drawings"]) == len(data["smiles"]) == 20
    assert all(text.startswith("<svg") and text.endswith("</svg>") for text in data["drawings"])
    assert list(data["values"]) == ["activity", "logp"]
    for kind in ("pca", "tsne"):
        places = np.array(data["places"][kind])
        assert places.shape == (20, 2)
        assert ((places > 0) & (places < 600)).all()


def test_text_from_a_file_cannot_become_markup(generator: Generator) -> None:
    from molvae.latent.atlas import atlas
    from molvae.report.latent_map import map_page

    found = atlas(generator, ["CCO", "CCCO", "CCN"], ["pca"])
    html = map_page(found, {"</script><b>": np.array([1.0, np.nan, 2.0])}, "<i>").html()
    assert html.count("</script>") == 2
    outside = re.sub(r"<script.*?</script>", "", html, flags=re.S)
    assert "<b>" not in outside
    assert "<i>" not in outside


def test_a_climb_can_be_drawn(tiny_model: Path, tmp_path: Path) -> None:
    page = tmp_path / "climbs.html"
    flags = ["--target", "logp", "--direction", "maximize", "-n", 2, "--steps", 5]
    result = CliRunner().invoke(
        app, ["climb", str(tiny_model), *map(str, flags), "--picture", str(page), "-q"]
    )
    assert result.exit_code == 0, result.output
    assert page.read_text().count('<div class="strip">') == 2


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        (("interpolate", "MODEL", "C", "CC", "-o", "a.xyz"), ConfigError, "format 'xyz'"),
        (("interpolate", "MODEL", "C", "CC", "--picture", "a.gif"), InputError, ".svg, .png"),
        (("interpolate", "MODEL", "C", "CC", "--way", "round"), ConfigError, "way"),
        (("interpolate", "MODEL", "C", "CC", "--points", 1), ConfigError, "points"),
        (("interpolate", "MODEL", "C", "CC", "--through", "a.smi"), ConfigError, "the way dense"),
        (("analogues", "MODEL", "C", "--picture", "folder.png"), FileError, "is a directory"),
        (("analogues", "MODEL", "C", "--property", "logP"), ConfigError, "unknown property"),
        (("analogues", "MODEL", "C", "-n", 0), ConfigError, "molecules"),
        (("arithmetic", "MODEL", "a.smi"), ConfigError, "by one of smarts"),
        (("arithmetic", "MODEL", "a.smi", "--smarts", "F", "--above", 1), ConfigError, "belong"),
        (("arithmetic", "MODEL", "a.smi", "--smarts", "[F"), ConfigError, "not valid SMARTS"),
        (("arithmetic", "MODEL", "no.smi", "--smarts", "F"), FileError, "does not exist"),
        (("directions", "MODEL", "no.smi"), FileError, "does not exist"),
        (("map", "MODEL", "a.smi", "-o", "map.png"), InputError, "ends in .html"),
        (("map", "MODEL", "no.smi", "-o", "map.html"), FileError, "does not exist"),
        (("map", "MODEL", "a.smi", "-o", "map.html", "--method", "umap"), ConfigError, "methods"),
        (("map", "MODEL", "a.smi", "-o", "m.html", "--label", "x"), InputError, "x"),
    ],
)
def test_what_cannot_be_done_is_refused_before_the_model_is_opened(
    arguments: tuple[object, ...],
    error: type[MolvaeError],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(molvae.generator, "load", lambda *_: pytest.fail("work has begun"))
    Path("folder.png").mkdir()
    Path("a.smi").write_text("CCO\nCCC\n")
    with pytest.raises(error, match=said):
        run(str(arguments[0]), *arguments[1:])
