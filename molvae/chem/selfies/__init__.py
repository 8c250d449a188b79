"""Our own codec for SELFIES, exactly the language of selfies 2.2.0, fast and without globals.

SELFIES: Krenn et al., *Machine Learning: Science and Technology* 1 (2020) 045024; the grammar is
that of Lo et al., *Digital Discovery* 2 (2023) 897.
"""

from molvae.chem.selfies.codec import Codec, selfies_to_smiles, smiles_to_selfies
from molvae.chem.selfies.constraints import Constraints
from molvae.chem.selfies.decoder import Decoder
from molvae.chem.selfies.encoder import Encoder
from molvae.chem.selfies.errors import CodecError, UnknownSymbolError
from molvae.chem.selfies.grammar import Grammar
from molvae.chem.selfies.symbols import robust_alphabet, split_selfies

__all__ = [
    "Codec",
    "CodecError",
    "Constraints",
    "Decoder",
    "Encoder",
    "Grammar",
    "UnknownSymbolError",
    "robust_alphabet",
    "selfies_to_smiles",
    "smiles_to_selfies",
    "split_selfies",
]
