"""Draws curves for a person to label: TaskSet rows, LCBench runs by its surrogate, small networks and boosting runs.

    python benchmarks/diagnosis_curves.py --data ../shared/data --seed 1 --out curves.json

The draw is stratified by what is known without a diagnosis: how good a TaskSet row ends and where its minimum lies,
and which family of settings a network is drawn from. Curves that are already labelled are left out. No verdict is
asked for here.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.datasets import load_breast_cancer, load_diabetes, load_digits, load_wine
from sklearn.ensemble import GradientBoostingClassifier, GradientBoostingRegressor
from sklearn.metrics import log_loss, mean_squared_error
from sklearn.model_selection import train_test_split
from suite_lcbench import COLUMNS, LAST_EPOCH, SPACE, session

Curve = dict[str, Any]
DATA = {"breast_cancer": load_breast_cancer, "wine": load_wine, "digits": load_digits, "diabetes": load_diabetes}
# family -> ranges of (log10 learning rate, units, training rows, batch, log10 weight decay)
FAMILIES = {
    "usual": ((-3.5, -1.5), (16, 128), (150, 400), (16, 64), (-5, -3)),
    "hot": ((-1.3, 0.7), (16, 256), (60, 300), (4, 32), (-6, -4)),
    "large": ((-3, -1.7), (128, 512), (40, 120), (8, 32), (-8, -6)),
    "small": ((-5, -2.5), (1, 4), (100, 400), (16, 128), (-4, 0)),
}


def taskset(folder: Path, seen: set[tuple[str, int]], rng: np.random.Generator) -> Iterator[Curve]:
    """Of each task one row of each stratum: good and early minimum, good and late, middling, bad; half a broken one."""
    for place, file in enumerate(sorted(folder.glob("*.npz"))):
        data = np.load(file)
        final, at = data["valid"][:, -1], np.argmin(data["valid"], axis=1)
        whole = np.isfinite(final)
        share = np.full(len(final), np.nan)
        share[whole] = np.argsort(np.argsort(final[whole])) / whole.sum()
        strata = [
            (share < 0.15) & (at < 35),
            (share < 0.15) & (at >= 35),
            (share >= 0.15) & (share < 0.5),
            share >= 0.5,
        ]
        strata += [~whole] if place % 2 else []
        for stratum in strata:
            rows = [int(r) for r in np.flatnonzero(stratum) if (file.stem, int(r)) not in seen]
            if not rows:  # a task without broken rows, or without early minima among its good ones
                continue
            row = int(rng.choice(rows))
            train, valid = data["train"][row].tolist(), data["valid"][row].tolist()
            yield {"task": file.stem, "row": row, "train": train, "valid": valid, "best": float(np.nanmin(final))}


def lcbench(folder: Path, rng: np.random.Generator, n: int) -> Iterator[Curve]:
    """`n` random configurations, each of a random data set, of which 200 others give the best; no training curve."""
    codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
    model = session(folder / "model.onnx")
    for row in range(n):
        task = str(rng.choice([name for name in codes if name != "#na#"]))
        configs = [SPACE.sample(rng) for _ in range(201)]
        epochs = np.arange(1, LAST_EPOCH + 1)
        points = [[epoch, *(configs[0][c] for c in COLUMNS)] for epoch in epochs]
        points += [[LAST_EPOCH, *(config[c] for c in COLUMNS)] for config in configs[1:]]
        inputs = {
            "x_cont": np.array(points, dtype=np.float32),  # (52 + 200, 8)
            "x_cat": np.full((len(points), 1), codes[task], dtype=np.int32),
        }
        maximize = row % 2 == 0
        values = model.run(None, inputs)[0][:, 1 if maximize else 2].astype(float)  # val_accuracy, val_cross_entropy
        valid, others = values[: len(epochs)].tolist(), values[len(epochs) :]
        best = float(others.max() if maximize else others.min())
        yield {"task": f"lcbench {task}", "row": row, "train": [], "valid": valid, "best": best, "maximize": maximize}


def networks(rng: np.random.Generator, each: int) -> Iterator[Curve]:
    """`each` networks of every family, on a data set in turn; classification by loss or by accuracy."""
    torch.set_num_threads(1)
    for row in range(each * len(FAMILIES)):
        family, name = list(FAMILIES)[row % len(FAMILIES)], list(DATA)[row // len(FAMILIES) % len(DATA)]
        accuracy = name != "diabetes" and rng.random() < 0.4
        lr, units, rows, batch, decay = (rng.uniform(*bounds) for bounds in FAMILIES[family])
        settings = {"units": int(units), "rows": int(rows), "batch": int(batch), "adam": bool(rng.random() < 0.5)}
        seed, epochs = int(rng.integers(2**31)), int(rng.choice([15, 30, 60]))
        train, valid = _fit(name, 10**lr, 10**decay, settings, seed, epochs, accuracy)
        task = f"network {name} {'accuracy' if accuracy else 'loss'}"
        yield {"task": task, "row": row, "train": train, "valid": valid, "maximize": accuracy}


def _fit(
    name: str, lr: float, decay: float, settings: dict[str, Any], seed: int, epochs: int, accuracy: bool
) -> tuple[list[float], list[float]]:
    torch.manual_seed(seed)
    x, y = DATA[name](return_X_y=True)
    x = (x - x.mean(axis=0)) / (x.std(axis=0) + 1e-9)
    y = (y - y.mean()) / y.std() if name == "diabetes" else y
    xt, xv, yt, yv = train_test_split(x, y, train_size=min(settings["rows"], len(y) * 2 // 3), random_state=seed % 1000)
    kind = torch.float32 if name == "diabetes" else torch.long
    sets = [(torch.tensor(a, dtype=torch.float32), torch.tensor(b, dtype=kind)) for a, b in ((xt, yt), (xv, yv))]
    outputs = 1 if name == "diabetes" else int(y.max()) + 1
    net = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], settings["units"]), torch.nn.ReLU(), torch.nn.Linear(settings["units"], outputs)
    )
    make: Any = torch.optim.Adam if settings["adam"] else torch.optim.SGD
    optimizer = make(net.parameters(), lr=lr, weight_decay=decay, **({} if settings["adam"] else {"momentum": 0.9}))

    def loss(a: torch.Tensor, b: torch.Tensor) -> torch.Tensor:
        out = net(a)
        square = torch.nn.functional.mse_loss
        return square(out[:, 0], b) if name == "diabetes" else torch.nn.functional.cross_entropy(out, b)

    curves: tuple[list[float], list[float]] = ([], [])
    for _ in range(epochs):
        for part in torch.split(torch.randperm(len(xt)), settings["batch"]):
            optimizer.zero_grad()
            loss(sets[0][0][part], sets[0][1][part]).backward()  # type: ignore[no-untyped-call]
            optimizer.step()
        with torch.no_grad():
            for curve, (a, b) in zip(curves, sets, strict=True):
                curve.append(float((net(a).argmax(1) == b).float().mean()) if accuracy else float(loss(a, b)))
    return curves


def boosting(rng: np.random.Generator, n: int) -> Iterator[Curve]:
    """`n` boosting runs, the loss after each few trees."""
    for row in range(n):
        name = list(DATA)[row % len(DATA)]
        x, y = DATA[name](return_X_y=True)
        y = (y - y.mean()) / y.std() if name == "diabetes" else y
        split = train_test_split(
            x, y, train_size=int(rng.integers(60, 280 if name != "wine" else 110)), random_state=row
        )
        settings = {
            "learning_rate": 10 ** rng.uniform(-2.5, 0),
            "max_depth": int(rng.integers(1, 7)),
            "random_state": 0,
        }
        settings |= {"n_estimators": int(rng.choice([20, 60])), "subsample": float(rng.choice([0.5, 1.0]))}
        model: Any = (GradientBoostingRegressor if name == "diabetes" else GradientBoostingClassifier)(**settings)
        model.fit(split[0], split[2])
        curves = [
            [mean_squared_error(b, p) for p in model.staged_predict(a)]
            if name == "diabetes"
            else [log_loss(b, p, labels=model.classes_) for p in model.staged_predict_proba(a)]
            for a, b in ((split[0], split[2]), (split[1], split[3]))
        ]
        yield {"task": f"boosting {name} loss", "row": row, "train": curves[0], "valid": curves[1]}


def with_best(curves: list[Curve]) -> list[Curve]:
    """The best final value of each task's own curves as their `best`, where there is none; rounded to 4 digits."""
    for curve in curves:
        sign = 1 if curve.get("maximize") else -1
        # Networks and boosting of one data set and metric are one study.
        study = curve["task"].split(" ")[1:]
        ends = [c["valid"][-1] for c in curves if c["task"].split(" ")[1:] == study and math.isfinite(c["valid"][-1])]
        curve["best"] = _short(curve.get("best", sign * max(sign * e for e in ends)))
    for curve in curves:
        curve["train"], curve["valid"] = [_short(v) for v in curve["train"]], [_short(v) for v in curve["valid"]]
    return curves


def _short(value: float) -> float | None:
    return float(f"{value:.4g}") if math.isfinite(value) else None


def main() -> None:
    """Draw and write the curves, without labels."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seen", type=Path, help="labelled curves to leave out")
    parser.add_argument("--networks", type=int, default=12, help="of each family")
    parser.add_argument("--boosting", type=int, default=12)
    parser.add_argument("--lcbench", type=int, default=0, help="how many; 0 for none")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rng = np.random.default_rng(args.seed)
    seen = {(c["task"], c["row"]) for c in json.loads(args.seen.read_text())["curves"]} if args.seen else set()
    curves = [*taskset(args.data / "taskset", seen, rng), *networks(rng, args.networks), *boosting(rng, args.boosting)]
    curves += lcbench(args.data / "yahpo_lcbench", rng, args.lcbench)
    args.out.write_text(json.dumps(with_best(curves)))


if __name__ == "__main__":
    main()
