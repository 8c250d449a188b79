"""The peer judging: molsets' own metrics, run in its own environment.

Started by ``metrics_equal.py`` with the python that ``peer_env.py`` made (and ``fcd_torch`` and
``scipy`` beside it); it imports the standard library, numpy, scipy, torch, rdkit and molsets,
never molvae. Its code is used as it is. What is put under it at run time:

- the package ``moses`` without its ``__init__``, as for training;
- ``rdkit.six``, ``DataFrame.append``, ``numpy.NaN`` and ``numpy.row_stack``, which are gone from
  current versions;
- floats in the cosine of counts: its 64-bit integers overflow from about 17,000 molecules on, and
  Frag then reads 1 whatever the molecules are;
- ``disp=False`` of ``scipy.linalg.sqrtm``, where scipy no longer has it.

    python _peer_metrics.py JOB.json    # the molecules; prints one JSON object
"""

from __future__ import annotations

import importlib.util
import inspect
import json
import sys
import types
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from rdkit import RDLogger
from rdkit import __version__ as rdkit_version
from scipy import linalg
from scipy.spatial.distance import cosine


def shim() -> None:
    """Give current packages the names that molsets and fcd_torch ask them for."""
    if importlib.util.find_spec("rdkit.six") is None:
        sys.modules["rdkit.six"] = types.ModuleType("rdkit.six")
        sys.modules["rdkit.six"].iteritems = lambda mapping: iter(mapping.items())
    if not hasattr(pd.DataFrame, "append"):
        pd.DataFrame.append = lambda self, other, sort=False: pd.concat([self, other], sort=sort)
    # By setattr, for linters "correct" an assignment to the current name, which does nothing.
    for gone, current in (("NaN", np.nan), ("row_stack", np.vstack)):
        if not hasattr(np, gone):
            setattr(np, gone, current)
    if "disp" not in inspect.signature(linalg.sqrtm).parameters:
        root = linalg.sqrtm
        linalg.sqrtm = lambda a, disp=True: root(a) if disp else (root(a), 0.0)


def import_metrics() -> types.ModuleType:
    """``moses.metrics``, from the package whose own ``__init__`` is not run."""
    spec = importlib.util.find_spec("moses")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("molsets is not installed here; make its environment with peer_env.py")
    package = types.ModuleType("moses")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["moses"] = package
    from moses.metrics import metrics

    metrics.cos_distance = lambda a, b: cosine(a.astype(float), b.astype(float))
    return metrics


def main() -> None:
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    warnings.filterwarnings("ignore")
    RDLogger.DisableLog("rdApp.*")
    torch.set_num_threads(int(job.get("threads", 1)))
    shim()
    metrics = import_metrics()
    references: dict[str, Any] = {"train": job["train"]}
    if job["test"] is not None:  # else the statistics that molsets ships
        references |= {"test": job["test"], "test_scaffolds": job["test_scaffolds"]}
        for name in ("test", "test_scaffolds"):
            found = metrics.compute_intermediate_statistics(job[name])
            references["p" + name] = found
    values = {
        name: metrics.get_all_metrics(smiles, **references)
        for name, smiles in job["samples"].items()
    }
    plain = {name: {k: float(v) for k, v in found.items()} for name, found in values.items()}
    print(json.dumps({"rdkit": rdkit_version, "values": plain}))


if __name__ == "__main__":
    main()
