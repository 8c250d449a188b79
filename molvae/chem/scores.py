"""Composite scores: those of the rdkit wheel's Contrib folder (SA, NP-likeness), Crippen, QED.

Each model is read once per process, when first needed (SA: 0.5 s, 100 MB).
"""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from rdkit import Chem, RDConfig
from rdkit.Chem import QED, rdMolDescriptors

from molvae.base.errors import ConfigError


def sa_score(mol: Chem.Mol) -> float:
    """Synthetic accessibility, 1 (easy) to 10 (hard).

    Ertl and Schuffenhauer, J. Cheminform. 1:8 (2009), as in RDKit's Contrib/SA_Score.
    """
    return float(_sa_scorer().calculateScore(mol))


def unseen_parts(mol: Chem.Mol) -> int:
    """How many of a molecule's parts, atoms with their surroundings up to radius 2 (Morgan), none
    of the million PubChem molecules has from which :func:`sa_score` was made.

    >>> [unseen_parts(Chem.MolFromSmiles(s)) for s in ("CCNc1nccc2ccccc12", "CCNc1pccc2ccccc12")]
    [0, 7]
    """
    scorer = _sa_scorer()
    parts: dict[int, int] = scorer.mfpgen.GetSparseCountFingerprint(mol).GetNonzeroElements()
    return sum(count for part, count in parts.items() if part not in scorer._fscores)


def np_likeness(mol: Chem.Mol) -> float:
    """Natural-product likeness, about -5 (synthetic) to 5 (natural product).

    Ertl, Roggo and Schuffenhauer, J. Chem. Inf. Model. 48:68 (2008), as in RDKit's
    Contrib/NP_Score.
    """
    module, model = _np_scorer()
    return float(module.scoreMol(mol, model))


def crippen_logp(mol: Chem.Mol) -> float:
    """Octanol-water log10 P of Wildman and Crippen, J. Chem. Inf. Comput. Sci. 39:868 (1999).

    RDKit keeps it on the molecule, together with the refractivity: the second call is free.
    """
    return float(rdMolDescriptors.CalcCrippenDescriptors(mol)[0])


def crippen_mr(mol: Chem.Mol) -> float:
    """Molar refractivity in cm^3/mol, of the same source as :func:`crippen_logp`."""
    return float(rdMolDescriptors.CalcCrippenDescriptors(mol)[1])


def qed(mol: Chem.Mol) -> float:
    """Quantitative estimate of drug-likeness, 0 to 1, with RDKit's mean weights.

    Bickerton et al., Nat. Chem. 4:90 (2012). The same number as ``rdkit.Chem.QED.qed``, without
    its second copy of the molecule, so that descriptors cached on ``mol`` are not computed again.
    """
    skeleton = Chem.Mol(mol)
    properties = QED.QEDproperties(
        MW=rdMolDescriptors._CalcMolWt(mol),
        ALOGP=crippen_logp(mol),
        HBA=sum(len(mol.GetSubstructMatches(pattern)) for pattern in QED.Acceptors),
        HBD=rdMolDescriptors.CalcNumHBD(mol),
        PSA=rdMolDescriptors.CalcTPSA(mol),
        ROTB=rdMolDescriptors.CalcNumRotatableBonds(
            mol, rdMolDescriptors.NumRotatableBondsOptions.Strict
        ),
        AROM=len(Chem.GetSSSR(Chem.DeleteSubstructs(skeleton, QED.AliphaticRings))),
        ALERTS=sum(map(mol.HasSubstructMatch, QED.StructuralAlerts)),
    )
    return float(QED.qed(mol, qedProperties=properties))


@functools.cache
def _sa_scorer() -> ModuleType:
    module = _contrib("SA_Score", "sascorer")
    module.readFragmentScores()
    return module


@functools.cache
def _np_scorer() -> tuple[ModuleType, Any]:
    module = _contrib("NP_Score", "npscorer")
    with contextlib.redirect_stderr(io.StringIO()):  # it announces itself on standard error
        return module, module.readNPModel()


def _contrib(folder: str, name: str) -> ModuleType:
    """Import a file of RDKit's Contrib, which is no package, without touching ``sys.path``."""
    path = Path(RDConfig.RDContribDir) / folder / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"molvae_rdkit_{name}", path)
    if spec is None or spec.loader is None or not path.exists():
        raise ConfigError(
            f"this rdkit has no {path}; install rdkit from PyPI, whose wheel ships Contrib"
        )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
