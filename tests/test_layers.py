"""The layers of the design, proved from the source: imports go downward, heavy ones stay put."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import molvae

PACKAGE = Path(molvae.__file__).parent

# Lowest first; a file imports from its own layer (without cycles) and from those before it.
LAYERS: tuple[tuple[str, ...], ...] = (
    ("base",),
    ("chem",),
    ("datasets",),
    ("models",),
    ("training",),
    ("generator", "bulk", "latent"),
    ("oracles", "metrics"),
    ("optimize", "synthesis"),
    ("plots", "report"),
    ("estimator",),
    ("cli", "web"),
)
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}

# The only places where these may be imported, at the top of a file or inside a function.
ONLY_IN = {
    "botorch": {"optimize"},
    "gpytorch": {"optimize"},
    "linear_operator": {"optimize"},
    "matplotlib": {"plots", "report"},
    "typer": {"cli"},
    "click": {"cli"},
}
NEVER_IN = {
    "torch": {"base", "chem", "datasets"},
    "rdkit": {"base", "models", "training"},
    "selfies": {"base", "models", "training"},
}
HEAVY = ("torch", "rdkit", "pandas", "matplotlib", "botorch", "numpy", "pyarrow", "sklearn")


def modules() -> dict[str, Path]:
    """Every module of the package by dotted name, the package's own door excepted."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name not in ("molvae", "molvae.__main__"):
            found[name] = path
    return found


MODULES = modules()


@functools.cache
def imports(name: str) -> tuple[tuple[int, str], ...]:
    """(line, dotted name) of everything that a module imports, also inside functions."""
    return tuple(_imports(name, MODULES[name]))


def _imports(name: str, path: Path) -> Iterator[tuple[int, str]]:
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{base}.{alias.name}"
                yield node.lineno, full if full in MODULES else base


def layer(name: str) -> str:
    return name.split(".")[1]


def test_every_module_has_a_layer() -> None:
    unplaced = {layer(name) for name in MODULES} - RANK.keys()
    assert not unplaced, f"not in the table of layers: {sorted(unplaced)}"


@pytest.mark.parametrize("name", MODULES)
def test_imports_go_downward(name: str) -> None:
    wrong = [
        f"{MODULES[name]}:{line}: imports {target}"
        for line, target in imports(name)
        if target.startswith("molvae.") and RANK[layer(target)] > RANK[layer(name)]
    ]
    assert not wrong, "\n".join(wrong)


def test_no_import_cycles() -> None:
    graph = {
        name: {
            target
            for _, target in imports(name)
            if target in MODULES and target != name and not name.startswith(target + ".")
        }
        for name in MODULES
    }
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(" -> ".join(error.args[1]))


@pytest.mark.parametrize("name", MODULES)
def test_libraries_are_imported_only_where_they_belong(name: str) -> None:
    wrong = []
    for line, target in imports(name):
        root = target.split(".")[0]
        here = layer(name)
        if (root in ONLY_IN and here not in ONLY_IN[root]) or here in NEVER_IN.get(root, ()):
            wrong.append(f"{MODULES[name]}:{line}: imports {target}")
        if root == "rdkit" and name.startswith("molvae.chem.selfies"):
            wrong.append(f"{MODULES[name]}:{line}: the codec is plain Python")
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", MODULES)
def test_files_stay_short(name: str) -> None:
    length = MODULES[name].read_text(encoding="utf-8").count("\n")
    assert length <= 500, f"{MODULES[name]} has {length} lines: give its parts files of their own"


def loaded_after(code: str) -> set[str]:
    """The root modules that a fresh interpreter holds after running ``code``."""
    program = f"import sys\n{code}\nprint(*{{m.split('.')[0] for m in sys.modules}})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_importing_molvae_loads_nothing_heavy() -> None:
    assert not loaded_after("import molvae").intersection(HEAVY)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "from typer.testing import CliRunner\n"
        "from molvae.cli.app import app\n"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0"
    )
    assert not loaded_after(code).intersection(HEAVY)


def test_drawing_molecules_waits_for_nothing_that_only_training_needs() -> None:
    code = (
        "import molvae\n"
        "assert molvae.load('druglike', 'cpu').sample(2)\n"
        "late = {'torch._dynamo', 'lightning_fabric', 'pandas', 'sklearn.linear_model'}\n"
        "assert not late.intersection(sys.modules), late.intersection(sys.modules)"
    )
    loaded_after(code)


def test_training_needs_no_chemistry(tiny_corpus: Path, tmp_path: Path) -> None:
    # A machine with a GPU, torch and a built corpus will do: there, these cannot be imported.
    loaded_after(
        "for name in ('rdkit', 'selfies', 'pandas', 'sklearn'): sys.modules[name] = None\n"
        "from typer.testing import CliRunner\n"
        "from molvae.cli.app import app\n"
        f"options = {training_options(tiny_corpus, tmp_path / 'model')!r}\n"
        "done = CliRunner().invoke(app, ['train', *options], catch_exceptions=False)\n"
        "assert done.exit_code == 0, done.output"
    )
    assert (tmp_path / "model" / "model.safetensors").exists()


def training_options(corpus: Path, out: Path) -> list[str]:
    """Two steps of a small model that learns relatives, as the last recipe of `moses` does."""
    settings = ["run.steps=2", "run.device=cpu", "optimiser.batch_size=32"]
    settings += ["model.encoder_hidden=16", "model.decoder_hidden=16", "objective.kind_weight=2.0"]
    settings += ["objective.relative_weight=1.0", "objective.relative_share=0.5"]
    chosen = [word for setting in settings for word in ("--set", setting)]
    return ["--preset", "local", "--corpus", str(corpus), "-o", str(out), "--quiet", *chosen]
