"""The language of objectives: what parts, modifiers and means compute, and what is refused."""

from __future__ import annotations

import math
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rdkit import Chem

import molvae.generator
from molvae.base.errors import ConfigError, FileError, InputError, OracleError
from molvae.chem.fingerprints import FINGERPRINTS, fingerprint, tanimoto
from molvae.chem.formula import count_elements, parse_formula
from molvae.chem.properties import PROPERTIES, compute
from molvae.oracles import batch as batch_module
from molvae.oracles.batch import Batch
from molvae.oracles.compose import Composed, read_objective
from molvae.oracles.description import PARTS, Description
from molvae.oracles.evaluator import Evaluator
from molvae.oracles.means import combine
from molvae.oracles.modifiers import Clipped, Gaussian, Range, Sigmoid, Threshold

ASPIRIN = "CC(=O)Oc1ccccc1C(=O)O"
MOLECULES = ["CCO", "c1ccccc1", ASPIRIN, "Cc1ccncc1", "O=C1C=CC(=O)C=C1"]


def described(*parts: dict, mean: str | None = None, **more: Any) -> Description:
    mean = mean or ("geometric" if len(parts) > 1 else None)
    return Description.parse({"direction": "maximize", "mean": mean, "parts": parts, **more})


def raw(part: dict, smiles: list[str] = MOLECULES) -> list[float]:
    """The raw values of one part."""
    return Composed(described(part)).score(smiles).parts[0].raw.tolist()


# --- parts -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", PROPERTIES)
def test_every_descriptor_is_a_part(name: str) -> None:
    found = raw({"kind": "property", "property": name})
    np.testing.assert_array_equal(found, compute(MOLECULES, [name])[:, 0])


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_similarity_by_every_fingerprint_is_one_to_itself_and_less_to_others(name: str) -> None:
    found = raw({"kind": "similarity", "target": "OC(=O)c1ccccc1OC(C)=O", "fingerprint": name})
    assert found[2] == 1
    assert all(0 <= value < 1 for value in found[:2] + found[3:])


def test_similarity_counts_environments() -> None:
    ethane, hexane = "CC", "CCCCCC"
    (by_counts,) = raw({"kind": "similarity", "target": ethane}, [hexane])
    # ethane: 2 methyls and 1 environment; hexane: 2 methyls of 6 atoms and 9 larger ones
    mols = [Chem.MolFromSmiles(s) for s in (ethane, hexane)]
    a, b = (fingerprint("ecfp4", mol).GetNonzeroElements() for mol in mols)
    shared = sum(min(a[key], b.get(key, 0)) for key in a)
    assert by_counts == shared / (sum(a.values()) + sum(b.values()) - shared)
    assert np.isnan(tanimoto(fingerprint("ecfp4", mols[0]), [None])).all()


def test_rediscovery_is_similarity_by_ecfp4() -> None:
    target = {"target": ASPIRIN}
    assert raw({"kind": "rediscovery", **target}) == raw({"kind": "similarity", **target})


def test_isomers_by_hand() -> None:
    # C2H6O asked of CCN, C2H7N: H is off by 1, O by 1, all atoms by 1 with sigma 2.
    (value,) = raw({"kind": "isomers", "formula": "C2H6O"}, ["CCN"])
    assert value == pytest.approx(math.exp((0 - 0.5 - 0.5 - 0.125) / 4))
    (plain,) = raw({"kind": "isomers", "formula": "C2H6O", "mean": "arithmetic"}, ["CCN"])
    assert plain == pytest.approx((1 + 2 * math.exp(-0.5) + math.exp(-0.125)) / 4)
    assert raw({"kind": "isomers", "formula": "C2H5OH"}, ["COC", "[H]OCC"]) == [1, 1]


def test_elements_are_counted_with_all_hydrogens() -> None:
    mol = Chem.MolFromSmiles("[2H]C(Cl)[NH3+]")
    assert count_elements(mol) == {"C": 1, "H": 5, "Cl": 1, "N": 1}
    assert parse_formula("CH3Cl") == {"C": 1, "H": 3, "Cl": 1}


def test_smarts_present_absent_and_counted() -> None:
    part = {"kind": "smarts", "pattern": "[#8]"}
    assert raw(part) == [1, 0, 1, 0, 1]
    assert raw({**part, "want": "absent"}) == [0, 1, 0, 1, 0]
    assert raw({**part, "want": "count"}) == [1, 0, 4, 0, 2]


def test_alerts_absent_and_counted() -> None:
    assert raw({"kind": "alerts", "catalogs": ["pains"]}) == [1, 1, 1, 1, 0]
    counted = raw({"kind": "alerts", "want": "count"})
    assert counted[0] == 0
    assert counted[4] >= 2


def test_scaffold_kept_and_hopped() -> None:
    part = {"kind": "scaffold", "target": "CCc1ccccc1"}
    assert raw({**part, "want": "kept"}) == [0, 1, 1, 0, 0]
    assert raw({**part, "want": "hopped"}) == [0, 0, 0, 1, 1]  # ethanol has none to hop to
    assert raw({**part, "want": "kept", "generic": True})[3] == 1


def test_novelty_by_identity_and_by_similarity(tmp_path: Path) -> None:
    (tmp_path / "known.smi").write_text("OCC\nnonsense(\nc1ccncc1C\n")
    for where in ({"file": "known.smi"}, {"molecules": ["OCC", "c1ccncc1C"]}):
        part = {"kind": "novelty", **where}
        new = Composed(described(part), folder=tmp_path).score(MOLECULES).total
        assert new.tolist() == [0, 1, 1, 1, 1]
        far = Composed(described({**part, "by": "similarity"}), folder=tmp_path).score(MOLECULES)
        assert far.total[0] == 0
        assert all(0 < value <= 1 for value in far.total[1:])


class Head:
    """A generator's property head, as far as a part sees it."""

    targets = ("logD",)

    def predict(self, smiles: list[str | None]) -> dict[str, np.ndarray]:
        return {"logD": np.array([np.nan if s is None else len(s) for s in smiles])}


def test_the_models_own_head_is_a_part(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    part = {"kind": "model", "target": "logD"}
    assert Composed(described(part), model=Head()).score(["OCC", "C1"]).total[0] == 3
    opened = []
    monkeypatch.setattr(molvae.generator, "load", lambda path: opened.append(path) or Head())
    (tmp_path / "mine").mkdir()
    Composed(described({**part, "model": "mine"}), folder=tmp_path)
    Composed(described({**part, "model": "druglike"}), folder=tmp_path)
    assert opened == [tmp_path / "mine", "druglike"]
    with pytest.raises(ConfigError, match=r"part 'predicted logd': .*did you mean 'logD'"):
        Composed(described({**part, "target": "logd"}), model=Head())
    with pytest.raises(ConfigError, match="needs a model; name one"):
        Composed(described(part))


@pytest.mark.slow
def test_a_real_models_head_is_a_part(tiny_model: Path) -> None:
    model = molvae.generator.load(tiny_model, "cpu")
    found = Composed(described({"kind": "model", "target": "logp"}), model=model).score(["CCO"])
    assert found.total[0] == pytest.approx(model.predict(["CCO"])["logp"][0])


# --- modifiers and means ---------------------------------------------------------------------

numbers = st.floats(-1e6, 1e6)
apart = st.tuples(numbers, numbers).filter(lambda pair: abs(pair[0] - pair[1]) > 1e-3)
widths = st.floats(1e-3, 1e3)
rising = st.one_of(
    st.builds(lambda at: Threshold(at=at), widths),
    apart.map(lambda p: Clipped(lower=min(p), upper=max(p))),
    apart.map(lambda p: Sigmoid(lower=min(p), upper=max(p))),
    st.builds(lambda m, s: Gaussian(kind="max_gaussian", mean=m, sigma=s), numbers, widths),
    st.builds(lambda low, margin: Range(low=low, margin=margin), numbers, st.floats(0, 10)),
)
falling = st.one_of(
    apart.map(lambda p: Clipped(lower=max(p), upper=min(p))),
    apart.map(lambda p: Sigmoid(lower=max(p), upper=min(p))),
    st.builds(lambda m, s: Gaussian(kind="min_gaussian", mean=m, sigma=s), numbers, widths),
    st.builds(lambda high, margin: Range(high=high, margin=margin), numbers, st.floats(0, 10)),
)
peaked = st.one_of(
    st.builds(lambda m, s: Gaussian(mean=m, sigma=s), numbers, widths),
    apart.map(lambda p: Range(low=min(p), high=max(p), margin=1.0)),
)
many = st.lists(numbers, min_size=2, max_size=20).map(lambda values: np.sort(values))


@settings(max_examples=60, deadline=None)
@given(st.one_of(rising, falling, peaked), many)
def test_scores_lie_between_0_and_1_and_nan_stays_nan(modifier: Any, x: np.ndarray) -> None:
    score = modifier.modify(x)
    assert ((score >= 0) & (score <= 1)).all()
    assert np.isnan(modifier.modify(np.array([np.nan]))).all()


@settings(max_examples=60, deadline=None)
@given(rising, falling, many)
def test_rising_modifiers_rise_and_falling_ones_fall(up: Any, down: Any, x: np.ndarray) -> None:
    assert (np.diff(up.modify(x)) >= -1e-12).all()
    assert (np.diff(down.modify(x)) <= 1e-12).all()


@pytest.mark.parametrize(
    ("modifier", "x", "expected"),
    [
        (Threshold(at=0.8), [0.4, 0.8, 2.0], [0.5, 1, 1]),
        (Clipped(upper=0.75), [-1, 0.3, 0.75, 1], [0, 0.4, 1, 1]),
        (Clipped(upper=1, lower=3), [0, 2, 4], [1, 0.5, 0]),
        (Sigmoid(upper=1), [0.5, 1], [0.5, 1 / (1 + math.exp(-2))]),
        (Sigmoid(upper=0, lower=1), [-1e6, 1e6], [1, 0]),
        (Gaussian(mean=2, sigma=0.5), [2, 2.5, 1], [1, math.exp(-0.5), math.exp(-2)]),
        (Gaussian(kind="max_gaussian", mean=2, sigma=1), [1, 9], [math.exp(-0.5), 1]),
        (Gaussian(kind="min_gaussian", mean=2, sigma=1), [1, 3], [1, math.exp(-0.5)]),
        (Range(low=1, high=2), [0.99, 1, 2, 2.01], [0, 1, 1, 0]),
        (Range(high=2, margin=4), [-9, 3, 9], [1, 0.75, 0]),
    ],
)
def test_modifiers_by_hand(modifier: Any, x: list[float], expected: list[float]) -> None:
    np.testing.assert_allclose(modifier.modify(np.array(x, float)), expected, atol=1e-15)


def test_a_gaussian_may_be_centred_on_a_molecule() -> None:
    part = {"kind": "property", "property": "bertz"}
    centred = {**part, "modifier": {"kind": "gaussian", "mean_of": ASPIRIN, "sigma": 10.0}}
    (value,) = compute(["CCO"], ["bertz"])[0] - compute([ASPIRIN], ["bertz"])[0]
    scores = Composed(described(centred)).score([ASPIRIN, "CCO"]).total
    np.testing.assert_allclose(scores, [1, math.exp(-0.5 * (value / 10) ** 2)])


def test_means_by_hand() -> None:
    scores, weights = np.array([[0.25, 1.0], [0.0, 0.5]]), np.array([3.0, 1.0])
    assert combine("arithmetic", scores, weights).tolist() == [0.4375, 0.125]
    np.testing.assert_allclose(combine("geometric", scores, weights), [0.25**0.75, 0])
    assert combine("product", scores, np.ones(2)).tolist() == [0.25, 0]
    assert combine("minimum", scores, np.ones(2)).tolist() == [0.25, 0]


unit = st.floats(0, 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(unit, st.floats(0.01, 100)), min_size=1, max_size=6))
def test_means_are_bounded_by_their_scores(pairs: list[tuple[float, float]]) -> None:
    scores, weights = (np.array(column) for column in zip(*pairs, strict=True))
    low, high, near = scores.min(), scores.max(), 1e-9
    for mean in ("arithmetic", "geometric"):
        (value,) = combine(mean, scores[None], weights)
        assert low - near <= value <= high + near
    arithmetic, geometric = (
        combine(mean, scores[None], weights)[0] for mean in ("arithmetic", "geometric")
    )
    assert geometric <= arithmetic + near
    assert combine("product", scores[None], weights)[0] <= low + near
    assert combine("minimum", scores[None], weights)[0] == low


# --- the whole -------------------------------------------------------------------------------

RINGS = {"kind": "property", "property": "rings", "modifier": {"kind": "range", "low": 1}}
OXYGEN = {"kind": "smarts", "pattern": "[#8]", "want": "absent"}


def test_a_group_is_a_part_and_its_parts_are_shown() -> None:
    group = {"kind": "group", "name": "both", "mean": "minimum", "parts": [RINGS, OXYGEN]}
    scores = Composed(described(group, {**OXYGEN, "weight": 3.0}, mean="arithmetic")).score(
        ["c1ccccc1O", "CC", "c1ccccc1"]
    )
    assert [(part.name, part.depth) for part in scores.parts] == [
        ("both", 0),
        ("both / rings", 1),
        ("both / [#8] absent", 1),
        ("[#8] absent", 0),
    ]
    assert scores.parts[0].score.tolist() == [0, 0, 1]
    assert scores.total.tolist() == [0, 0.75, 1]


def test_a_group_in_a_group_has_a_modifier_of_its_own() -> None:
    inner = {"kind": "group", "mean": "arithmetic", "parts": [RINGS, OXYGEN]}
    outer = {"kind": "group", "parts": [{**inner, "modifier": {"kind": "range", "low": 1.0}}]}
    assert Composed(described(outer)).score(["CC", "c1ccccc1"]).total.tolist() == [0, 1]


def test_parts_of_one_kind_get_names_of_their_own() -> None:
    scores = Composed(described(OXYGEN, OXYGEN, {**OXYGEN, "name": "[#8] absent 2"})).score(["C"])
    assert [part.name for part in scores.parts] == ["[#8] absent", "[#8] absent 3", "[#8] absent 2"]


def test_each_molecule_is_parsed_once_and_shared_by_all_parts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    parsed: list[list[str]] = []
    printed: list[str] = []
    monkeypatch.setattr(
        batch_module, "parse_many", lambda s: parsed.append(s) or [Chem.MolFromSmiles(x) for x in s]
    )
    monkeypatch.setattr(
        batch_module,
        "fingerprint",
        lambda name, mol: printed.append(name) or fingerprint(name, mol),
    )
    near = [{"kind": "similarity", "target": text} for text in ("CCO", "CCN")]
    composed = Composed(described(*near, RINGS))
    composed.score(["CCO", "CCC"])
    assert parsed == [["CCO", "CCC"]]
    assert printed == ["ecfp4", "ecfp4"]


def test_what_cannot_be_computed_is_nan_and_the_reason_names_the_part() -> None:
    negative = {"kind": "property", "property": "logp"}
    scores = Composed(described(negative, RINGS)).score(["C1CC", None, "OCCO", "c1ccccc1"])
    assert np.isnan(scores.total).tolist() == [True, True, True, False]
    assert scores.reasons[0] == "not a molecule: not valid SMILES (ring 1 is not closed)"
    assert scores.reasons[1] == "not a molecule: no molecule"
    assert "part 'logp' is -1.029, and a geometric" in scores.reasons[2]
    assert scores.reasons[3] is None


def test_a_part_without_a_value_is_the_evaluators_recorded_failure() -> None:
    class Blind(Head):
        def predict(self, smiles: list[str | None]) -> dict[str, np.ndarray]:
            return {"logD": np.array([np.nan if s == "CCO" else 1.0 for s in smiles])}

    inner = {"kind": "group", "parts": [{"kind": "model", "target": "logD"}], "name": "inner"}
    objective = Composed(described(inner), model=Blind()).objective()
    good, bad = Evaluator(objective, 5).evaluate(["CCC", "CCO"])
    assert good.value == 1
    assert bad.failure == ("part 'inner / predicted logD' cannot be computed for this molecule")


def test_a_model_that_fails_is_an_error_that_names_the_part() -> None:
    class Broken(Head):
        def predict(self, smiles: list[str | None]) -> dict[str, np.ndarray]:
            raise InputError("out of order")

    composed = Composed(described({"kind": "model", "target": "logD"}), model=Broken())
    with pytest.raises(OracleError, match="part 'predicted logD': out of order"):
        composed.score(["C"])


def test_the_objective_says_its_direction_and_its_definition() -> None:
    objective = Composed(described(RINGS, name="mine", direction="minimize")).objective()
    assert str(objective) == "minimise mine"
    assert objective.batch
    other = Composed(described({**RINGS, "property": "hbd"}, name="mine", direction="minimize"))
    assert objective.describe() != other.objective().describe()
    definition = objective.describe()["definition"]
    again = Composed(Description.parse(definition)).objective()
    assert again.describe() == objective.describe()


def test_an_objective_goes_to_another_process(tmp_path: Path) -> None:
    (tmp_path / "known.smi").write_text("CCO\n")
    composed = Composed(described({"kind": "novelty", "file": "known.smi"}), folder=tmp_path)
    objective = pickle.loads(pickle.dumps(composed.objective()))
    assert objective.function(["CCO", "CC"]).tolist() == [0, 1]
    assert objective.explain(["C1CC"]) == composed.reasons(["C1CC"])
    assert objective.describe() == composed.objective().describe()


def test_no_molecules_make_no_values() -> None:
    for part in ({"kind": "isomers", "formula": "CH4"}, RINGS, OXYGEN, {"kind": "alerts"}):
        assert Composed(described(part)).score([]).total.shape == (0,)
    similar = {"kind": "similarity", "target": "C"}
    assert Composed(described(similar)).score([]).total.shape == (0,)


# --- what is refused -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"kind": "similarty", "target": "C"}, r"part 2: unknown kind .* mean 'similarity'"),
        ({"target": "C"}, r"part 2: key 'kind' is missing; there are property"),
        ({"kind": ["property"]}, r"part 2: unknown kind \['property'\]"),
        ("qed", "part 2: it is 'qed', no table"),
        ({"kind": "similarity"}, r"part 2 \(similarity\): key 'target' is missing"),
        ({"kind": "similarity", "targt": "C"}, r"'targt'; did you mean 'target'"),
        ({"kind": "similarity", "target": "C1CC"}, r"'target' is 'C1CC': .*ring 1 is not closed"),
        ({"kind": "rediscovery", "target": ""}, r"'target' is '': empty"),
        ({"kind": "similarity", "target": "C", "fingerprint": "ecfp"}, "'fingerprint' is 'ecfp'"),
        ({"kind": "property", "property": "logP"}, r"'property' is 'logP': .* did you mean 'logp'"),
        ({"kind": "property", "property": 3}, r"'property' is 3: Input should be a valid string"),
        ({"kind": "smarts", "pattern": "[#6"}, r"'pattern' is '\[#6': not valid SMARTS"),
        ({"kind": "smarts", "pattern": ""}, "not valid SMARTS"),
        ({"kind": "smarts", "pattern": "C", "want": "there"}, "'want' is 'there'"),
        ({"kind": "isomers", "formula": "C7Hx"}, "there is no element 'Hx'"),
        ({"kind": "isomers", "formula": "C7h8"}, "not a formula from character 3 on"),
        ({"kind": "isomers", "formula": "C0H4"}, "no atoms of C: leave it out"),
        ({"kind": "isomers", "formula": "C" + 400 * "9"}, "not a formula from character 7 on"),
        ({"kind": "smarts", "pattern": 9999 * "C"}, "longer than 1,000 characters"),
        ({"kind": "isomers", "formula": ""}, "not a formula"),
        ({"kind": "alerts", "catalogs": ["pain"]}, "did you mean 'pains'"),
        ({"kind": "alerts", "catalogs": []}, "'catalogs'"),
        ({"kind": "novelty"}, "give one of file and molecules"),
        ({"kind": "novelty", "molecules": ["CC", "C1"]}, "molecule 2, 'C1': not valid SMILES"),
        ({"kind": "scaffold", "target": "CCO", "want": "kept"}, "it has no ring"),
        ({"kind": "scaffold", "target": "C1CC1"}, "'want' is missing"),
        ({**RINGS, "weight": -1.0}, "'weight' is -1.0: Input should be greater than 0"),
        ({**RINGS, "weight": math.nan}, "'weight' is nan: Input should be a finite number"),
        ({**RINGS, "name": ""}, "'name' is ''"),
        ({"kind": "group", "mean": "minimum", "parts": []}, r"part 2 \(group\): it has no parts"),
        (
            {"kind": "group", "parts": [{"kind": "smarts", "patern": "C"}]},
            r"part 2 \(group\): part 1 \(smarts\): .*'patern'; did you mean 'pattern'",
        ),
        ({"kind": "group", "parts": [RINGS, OXYGEN]}, "2 parts and no mean"),
    ],
)
def test_a_part_that_makes_no_sense_is_refused_by_number_and_key(part: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        described(RINGS, part)


@pytest.mark.parametrize(
    ("modifier", "message"),
    [
        ({"kind": "gausian", "sigma": 1}, "modifier: unknown kind 'gausian'; .* 'gaussian'"),
        ({"kind": "clipped", "uper": 1}, "modifier clipped: .*'uper'; did you mean 'upper'"),
        ({"kind": "clipped", "upper": 0}, ".*upper and lower are the same"),
        ({"kind": "sigmoid", "upper": "1"}, ".*'upper' is '1'"),
        ({"kind": "threshold", "at": 0}, ".*'at' is 0: Input should be greater than 0"),
        ({"kind": "gaussian", "mean": math.nan, "sigma": 1}, ".*'mean' is nan: .*finite"),
        ({"kind": "gaussian", "mean": 1, "sigma": 0}, ".*'sigma' is 0"),
        ({"kind": "gaussian", "sigma": 1}, ".*give one of mean .* and mean_of"),
        ({"kind": "gaussian", "mean": 1, "mean_of": "C", "sigma": 1}, ".*give one of mean"),
        (
            {"kind": "gaussian", "mean_of": "C1", "sigma": 1},
            ".*'mean_of' is 'C1': not valid SMILES",
        ),
        ({"kind": "range"}, ".*give low, high or both"),
        ({"kind": "range", "low": 2, "high": 1}, r".*low \(2\) is above high \(1\)"),
        (3, "modifier: it is 3, no table"),
    ],
)
def test_a_modifier_that_makes_no_sense_is_refused(modifier: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=rf"part 1 \(property\), {message}"):
        described({**RINGS, "modifier": modifier})


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"direction": "maximize"}, "it has no parts; add at least one"),
        ({"direction": "maximize", "parts": []}, "it has no parts"),
        ({"direction": "maximize", "parts": "qed"}, "it has no parts"),
        ({"parts": [RINGS]}, "key 'direction' is missing"),
        ({"direction": "max", "parts": [RINGS]}, "'direction' is 'max'"),
        ({"direction": "maximize", "parts": [RINGS], "maen": 1}, "'maen'; did you mean 'mean'"),
        ({"direction": "maximize", "parts": [RINGS, OXYGEN]}, "2 parts and no mean; say how"),
        ({"direction": "maximize", "parts": [RINGS], "mean": "harmonic"}, "'mean' is 'harmonic'"),
        (
            {"direction": "maximize", "mean": "minimum", "parts": [RINGS, {**OXYGEN, "weight": 2}]},
            "weights have no meaning for a minimum",
        ),
        (
            {"direction": "maximize", "mean": "product", "parts": [{**OXYGEN, "name": "a"}] * 2},
            "two parts have the name 'a'",
        ),
    ],
)
def test_a_description_that_makes_no_sense_is_refused(values: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Description.parse(values)


def test_files_that_make_no_sense_are_named(tmp_path: Path) -> None:
    def written(text: str) -> Path:
        path = tmp_path / "mine.toml"
        path.write_text(text)
        return path

    with pytest.raises(ConfigError, match=r"mine\.toml: not valid TOML: .*line 1"):
        read_objective(written("direction = maximize\n"))
    with pytest.raises(FileError, match=r"none\.toml"):
        read_objective(tmp_path / "none.toml")
    start = 'direction = "maximize"\n[[parts]]\n'
    with pytest.raises(ConfigError, match=r"mine\.toml: part 1 \(property\): key 'weight' is nan"):
        read_objective(written(f'{start}kind = "property"\nproperty = "qed"\nweight = nan\n'))
    with pytest.raises(FileError, match=r"no\.smi"):
        read_objective(written(f'{start}kind = "novelty"\nfile = "no.smi"\n'))
    (tmp_path / "bad.smi").write_text("C1CC bad\n")
    with pytest.raises((ConfigError, InputError), match=r"bad\.smi"):
        read_objective(written(f'{start}kind = "novelty"\nfile = "bad.smi"\n'))
    with pytest.raises(ConfigError, match=r"mine\.toml: part 'predicted x': .* needs a model"):
        read_objective(written(f'{start}kind = "model"\ntarget = "x"\n'))
    assert read_objective(written(f'{start}kind = "alerts"\n')).description.name == "mine"


def test_every_kind_of_part_says_what_it_is() -> None:
    for kind, part in PARTS.items():
        assert part.model_fields["kind"].default == kind
        assert part.__doc__


def test_problem_of_a_molecule_is_none_for_one_that_parses() -> None:
    assert Batch(["C"]).problem(0) is None
