"""Copies run directories of fln into MLflow, one MLflow run for each method and seed.

    pip install mlflow
    python mlflow_import.py RUN_DIRECTORY...

MLFLOW_TRACKING_URI says where to; the default is sqlite:///mlflow.db in this folder. Nothing of fln is needed: a
run directory is read as plain files (run.json, LABEL-sSEED/metrics.csv).
"""

import csv
import json
import math
import pathlib
import sys

import mlflow
from mlflow.entities import Metric, Param, RunTag

POSITIONS = {"method", "seed", "batch", "epoch", "wall_s"}


def import_run(client, experiment_id, folder, record, entry):
    label, seed = entry["label"], entry["seed"]
    with open(folder / f"{label}-s{seed}" / "metrics.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    start = rows and milliseconds(entry.get("startedAt") or record["startedAt"])
    run = client.create_run(experiment_id, start_time=start or None, run_name=f"{label}-s{seed}")
    metrics = [
        Metric(name, float(value), start + round(1000 * float(row["wall_s"])), int(row["batch"]))
        for row in rows
        for name, value in row.items()
        if name not in POSITIONS and value and math.isfinite(float(value))
    ]
    params = [Param("method", label), Param("seed", str(seed))]
    tags = [
        RunTag("fln.directory", str(folder.resolve())),
        RunTag("fln.config", record["experiment"]["hash"]),
        RunTag("fln.commit", str((record.get("git") or {}).get("commit"))),
        RunTag("fln.backend", record["backend"]["name"]),
    ]
    client.log_batch(run.info.run_id, params=params, tags=tags)
    # MLflow takes at most 1,000 metrics at once.
    for first in range(0, len(metrics), 1000):
        client.log_batch(run.info.run_id, metrics=metrics[first : first + 1000])
    client.set_terminated(run.info.run_id, "FINISHED" if entry["status"] == "COMPLETED" else "FAILED")


def milliseconds(iso):
    from datetime import datetime

    return round(1000 * datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp())


def main(folders):
    client = mlflow.MlflowClient()
    for folder in map(pathlib.Path, folders):
        record = json.loads((folder / "run.json").read_text())
        name = record["experiment"]["name"]
        found = client.get_experiment_by_name(name)
        experiment_id = found.experiment_id if found else client.create_experiment(name)
        for entry in record["runs"]:
            if entry["status"] == "QUEUED":
                continue
            import_run(client, experiment_id, folder, record, entry)
            print(f"{name}: {entry['label']}, seed {entry['seed']}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    main(sys.argv[1:])
