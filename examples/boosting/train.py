"""Gradient boosting on scikit-learn's diabetes data. It knows nothing of Luthier: it prints, as most scripts do.

The defaults are those of scikit-learn's own example on the same data:
https://scikit-learn.org/stable/auto_examples/ensemble/plot_gradient_boosting_regression.html
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable

import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.metrics import mean_squared_error
from sklearn.model_selection import train_test_split

REPORTS = 20  # lines a run


def main() -> None:
    """Fit, then print the error after every few stages."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n-estimators", type=int, default=500, help="boosting stages")
    parser.add_argument("--learning-rate", type=float, default=0.01)
    parser.add_argument("--max-depth", type=int, default=4, help="of each tree")
    parser.add_argument("--min-samples-split", type=int, default=5)
    parser.add_argument("--subsample", type=float, default=1.0, help="share of the data for each tree")
    parser.add_argument("--max-features", type=float, default=1.0, help="share of the features for each split")
    parser.add_argument("--loss", choices=["squared_error", "absolute_error", "huber"], default="squared_error")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    data = load_diabetes()
    # One split for every run: 60 % to train on, 20 % to choose by, 20 % to judge with.
    x_fit, x_test, y_fit, y_test = train_test_split(data.data, data.target, test_size=0.2, random_state=13)
    x_train, x_val, y_train, y_val = train_test_split(x_fit, y_fit, test_size=0.25, random_state=13)

    settings = vars(args)
    model = GradientBoostingRegressor(random_state=settings.pop("seed"), **settings).fit(x_train, y_train)
    train, validation = errors(model.staged_predict(x_train), y_train), errors(model.staged_predict(x_val), y_val)
    for stage in np.unique(np.linspace(1, len(train), REPORTS, dtype=int)):
        print(f"stage {stage}: train mse {train[stage - 1]:.6g}, validation mse {validation[stage - 1]:.6g}")
    print(f"test mse {mean_squared_error(y_test, model.predict(x_test)):.6g}")


def errors(stages: Iterable[np.ndarray], truth: np.ndarray) -> list[float]:
    """The mean squared error after each stage."""
    return [float(mean_squared_error(truth, predicted)) for predicted in stages]


if __name__ == "__main__":
    main()
