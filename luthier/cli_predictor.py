"""`luthier predictor`: predict which workflow will succeed, from logs of workflows that ran."""

from __future__ import annotations

import typer

from .cli_predictor_logs import add_to as add_logs

predictor_app = typer.Typer(
    name="predictor", help="Predict which workflow will succeed, from logs of workflows that ran.", no_args_is_help=True
)
add_logs(predictor_app)
