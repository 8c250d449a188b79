"""The peer scoring: PyTDC's own oracles, run in its own environment.

Started by ``oracles_equal.py`` with the python that ``peer_env.py --peer pytdc`` made; it imports
the standard library, rdkit and PyTDC, never molvae. Its code is used as it is. What is put under
it at run time:

- the packages ``tdc``, ``tdc.chem_utils`` and ``tdc.chem_utils.oracle`` without their
  ``__init__``, and ``tdc.utils`` with the three names that the oracles import from it (they fetch
  models that these tasks have no use for);
- ``rdkit.six``, which is gone from current versions.

Every task is scored with the module loaded afresh: PyTDC keeps targets in globals of the module,
and ``deco_hop`` and ``scaffold_hop`` keep unlike things under the same names there.

    python _peer_oracles.py JOB.json    # tasks and molecules; prints one JSON object
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import sys
import time
import types
import warnings
from pathlib import Path
from typing import Any

from rdkit import RDLogger
from rdkit import __version__ as rdkit_version

MODULE = "tdc.chem_utils.oracle.oracle"


def shim() -> None:
    """Give PyTDC's oracles what they import, without the rest of PyTDC."""
    spec = importlib.util.find_spec("tdc")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("PyTDC is not installed here; run peer_env.py --peer pytdc")
    (root,) = spec.submodule_search_locations
    for name in ("tdc", "tdc.chem_utils", "tdc.chem_utils.oracle"):
        package = types.ModuleType(name)
        package.__path__ = [str(Path(root, *name.split(".")[1:]))]
        sys.modules[name] = package
    utils = types.ModuleType("tdc.utils")
    utils.oracle_load = utils.print_sys = utils.install = lambda *_: None
    sys.modules["tdc.utils"] = utils
    if importlib.util.find_spec("rdkit.six") is None:
        sys.modules["rdkit.six"] = types.ModuleType("rdkit.six")
        sys.modules["rdkit.six"].iteritems = lambda mapping: iter(mapping.items())


def main() -> None:
    job: dict[str, Any] = json.loads(Path(sys.argv[1]).read_text())
    warnings.filterwarnings("ignore")
    RDLogger.DisableLog("rdApp.*")
    shim()
    values, seconds = {}, {}
    for task in job["tasks"]:
        sys.modules.pop(MODULE, None)
        function = getattr(importlib.import_module(MODULE), task)
        function("CCO")  # the target's fingerprints are made on the first call
        start = time.process_time()
        values[task] = [float(function(text)) for text in job["molecules"]]
        seconds[task] = time.process_time() - start
        print(task, file=sys.stderr, flush=True)
    print(json.dumps({"rdkit": rdkit_version, "values": values, "seconds": seconds}))


if __name__ == "__main__":
    main()
