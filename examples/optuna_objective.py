"""An Optuna objective, passed to Luthier as it is: `optuna.create_study().optimize(objective)` takes the same function.

No space is written anywhere: it grows from what the objective suggests, and trial 0 is the middle of each range.
"""

from __future__ import annotations

import optuna
from sklearn.datasets import load_digits
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler

EPOCHS = 30


def objective(trial: optuna.Trial) -> float:
    """The accuracy of a linear classifier on held-out digits; stopped early when it is hopeless."""
    digits = load_digits()
    x_train, x_val, y_train, y_val = train_test_split(digits.data, digits.target, test_size=0.5, random_state=0)
    if trial.suggest_categorical("scale", [True, False]):
        scaler = StandardScaler().fit(x_train)
        x_train, x_val = scaler.transform(x_train), scaler.transform(x_val)

    penalty = trial.suggest_categorical("penalty", ["l2", "l1", "elasticnet"])
    model = SGDClassifier(
        loss=trial.suggest_categorical("loss", ["hinge", "log_loss", "modified_huber"]),
        penalty=penalty,
        alpha=trial.suggest_float("alpha", 1e-7, 1.0, log=True),
        l1_ratio=trial.suggest_float("l1_ratio", 0.0, 1.0) if penalty == "elasticnet" else 0.15,
        learning_rate="constant",
        eta0=trial.suggest_float("eta0", 1e-5, 10.0, log=True),
        average=trial.suggest_categorical("average", [False, True]),
        random_state=0,
    )
    for epoch in range(EPOCHS):
        model.partial_fit(x_train, y_train, classes=range(10))
        accuracy = float(model.score(x_val, y_val))
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned
    return accuracy


def main() -> None:
    """Tune it: 15 trials, kept in `.luthier/optuna-objective`."""
    import luthier

    study = luthier.tune(
        objective, name="optuna-objective", metric="accuracy", direction="maximize", trials=15, stop_early=True
    )
    best, first = study.best, study.default
    if best is None or first is None:
        print("no trial finished")
        return
    print(f"middle of the ranges: {first.value}")
    print(f"best, trial {best.number}: {best.value} with {dict(best.config)}")


if __name__ == "__main__":
    main()
