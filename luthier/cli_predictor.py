"""`luthier predictor`: predict which workflow will succeed, from logs of workflows that ran."""

from __future__ import annotations

import typer

from .cli_predictor_ask import add_to as add_asking
from .cli_predictor_logs import add_to as add_logs
from .cli_predictor_train import add_to as add_training

predictor_app = typer.Typer(
    name="predictor", help="Predict which workflow will succeed, from logs of workflows that ran.", no_args_is_help=True
)
add_logs(predictor_app)
add_training(predictor_app)
add_asking(predictor_app)
