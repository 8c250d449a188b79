"""``molvae anomalies``: which molecules are unlike those that a model knows?"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from molvae.cli.common import (
    AsJson,
    Assignments,
    ConfigFile,
    Device,
    Output,
    Quiet,
    Seed,
    Verbose,
    print_json,
    print_table,
    say,
    settings,
    show,
)
from molvae.cli.flags import SmilesColumn

if TYPE_CHECKING:
    from molvae.latent.anomaly import Detector, Verdicts

SHOWN = 10


def anomalies(
    file: Annotated[
        str | None,
        typer.Argument(
            metavar="FILE",
            help="Molecules to judge: .smi .csv .tsv .sdf .parquet, also gzipped; - is standard "
            "input. Without it the calibration is made and saved.",
        ),
    ] = None,
    model: Annotated[
        str,
        typer.Option(
            "--reference",
            "-r",
            metavar="MODEL",
            help="Directory of a trained model, or the name of a shipped one.",
        ),
    ] = "druglike",
    data: Annotated[
        str | None,
        typer.Option(
            "--data",
            metavar="CORPUS|FILE",
            help="Molecules that count as usual and that the model has not seen: a file, or a "
            "corpus, whose test part is taken.  [default: what comes with the model]",
        ),
    ] = None,
    false_alarms: Annotated[
        float | None,
        typer.Option(
            "--false-alarms",
            help="Share of molecules like the reference that may be called anomalies.  "
            "[default: 0.05]",
        ),
    ] = None,
    molecules: Annotated[
        int | None,
        typer.Option("--molecules", "-n", help="Of the reference, at most.  [default: 2000]"),
    ] = None,
    calibration: Annotated[
        str | None,
        typer.Option("--calibration", metavar="FILE", help="Use one that was saved."),
    ] = None,
    save_calibration: Annotated[
        str | None,
        typer.Option(
            "--save-calibration",
            metavar="FILE",
            help="Write it as JSON, for who does not have the reference's molecules.",
        ),
    ] = None,
    output: Output = None,
    smiles_column: SmilesColumn = None,
    seed: Seed = None,
    device: Device = None,
    config: ConfigFile = None,
    assignments: Assignments = None,
    as_json: AsJson = False,
    quiet: Quiet = False,
    verbose: Verbose = False,
) -> None:
    """Say of each molecule whether it is unlike those of a reference, how surely, and why.

    Of molecules like the reference, at most the share --false-alarms is called an anomaly:
    molvae anomalies hits.csv --reference druglike -o judged.csv
    """
    from molvae.base.errors import ConfigError
    from molvae.base.files import require_file
    from molvae.cli.anomaly_settings import AnomalySettings, detector_of
    from molvae.cli.molecules import read_table
    from molvae.datasets.writers import check_output, write_table
    from molvae.generator import load
    from molvae.latent.anomaly_files import save_detector

    chosen = settings(
        AnomalySettings,
        config,
        assignments,
        data=data,
        calibration=calibration,
        false_alarms=false_alarms,
        molecules=molecules,
        smiles_column=smiles_column,
        seed=seed,
        device=device,
    )
    if file is None and save_calibration is None:
        raise ConfigError("nothing to do: name a FILE to judge, or --save-calibration")
    check_output(output or "-", reads=file, computed=True)
    if save_calibration is not None:
        require_file(save_calibration)
    table = None if file is None else read_table(file, chosen.smiles_column)
    generator = load(model, chosen.device)
    detector = detector_of(
        generator, model, chosen, progress=show(quiet), tell=lambda text: say(text, quiet)
    )
    if save_calibration is not None:
        save_detector(detector, save_calibration)
        say(f"The calibration is in {save_calibration}", quiet)
    if table is None:
        return
    found = detector.judge(
        generator, table.smiles, false_alarms=chosen.false_alarms, progress=show(quiet)
    )
    columns: dict[str, Any] = {**table.columns, **found.columns()}
    if output:
        write_table(output, columns)
    summary = _summary(found, detector, chosen.false_alarms)
    if as_json:
        print_json({**summary, "molecules": columns})
    elif output != "-" and summary["judged"]:
        _print(found, table.texts, summary)
    reasons = [
        None if verdict else reason or "not a molecule"
        for verdict, reason in zip(found.verdict, found.reasons, strict=True)
    ]
    table.tell(reasons, "judged", quiet, some=True)


def _summary(found: Verdicts, detector: Detector, false_alarms: float) -> dict[str, Any]:
    strange = [r for r, v in zip(found.reasons, found.verdict, strict=True) if v == "anomaly"]
    causes = Counter((reason or "").partition(" (")[0] for reason in strange)
    return {
        "judged": sum(v is not None for v in found.verdict),
        "anomalies": len(strange),
        "false_alarms": false_alarms,
        "threshold": detector.threshold(false_alarms),
        "reference": detector.source,
        "calibrated_on": len(detector.calibrated),
        "reasons": dict(causes.most_common()),
    }


def _print(found: Verdicts, texts: list[str], summary: dict[str, Any]) -> None:
    import numpy as np

    print(
        f"{summary['anomalies']:,} of {summary['judged']:,} molecules are anomalies; of molecules "
        f"like {summary['reference']}, at most {summary['false_alarms']:.3g} would be "
        f"(calibrated on {summary['calibrated_on']:,})"
    )
    for reason, count in summary["reasons"].items():
        print(f"  {count:,} x {reason}")
    order = np.argsort(-np.nan_to_num(found.combined, nan=-1), kind="stable")
    rows = [
        {"smiles": texts[i], "p": float(found.p[i]), "reason": found.reasons[i] or ""}
        for i in order[:SHOWN].tolist()
        if found.verdict[i] == "anomaly"
    ]
    if rows:
        print_table(rows, "The most unlike")
