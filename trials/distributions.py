"""Spaces as Optuna knows them, and back."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING

from .errors import SpaceError
from .space import Choice, Float, Int, Parameter, Space

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


def to_distribution(parameter: Parameter) -> BaseDistribution:
    """One hyperparameter's range. Optuna has no step on log ranges: there it is left out."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(parameter, Choice):
        return CategoricalDistribution(parameter.choices)
    if isinstance(parameter, Float):
        step = None if parameter.log else parameter.step
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # an end off the grid of `step` is cut, as `clip` does too
            return FloatDistribution(float(parameter.low), float(parameter.high), log=parameter.log, step=step)
    step = 1 if parameter.log else parameter.step
    high = parameter.low + (parameter.high - parameter.low) // step * step  # likewise
    return IntDistribution(parameter.low, high, log=parameter.log, step=step)


def to_distributions(space: Space) -> dict[str, BaseDistribution]:
    """The range of every hyperparameter, conditions and constraints left out."""
    return {name: to_distribution(parameter) for name, parameter in space.parameters.items()}


def from_distribution(distribution: BaseDistribution) -> Parameter:
    """An Optuna distribution as a hyperparameter without default.

    Raises:
        SpaceError: a distribution of another kind, or a range with a single value.
    """
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    match distribution:
        case CategoricalDistribution(choices=choices):
            return Choice(tuple(c for c in choices if c is not None))
        case FloatDistribution(low=low, high=high, log=log, step=step):
            return Float(low, high, log=log, step=step)
        case IntDistribution(low=low, high=high, log=log, step=step):
            return Int(low, high, log=log, step=step)
    raise SpaceError(f"a distribution must be float, int or categorical, but got {type(distribution).__name__}")


def from_distributions(distributions: Mapping[str, BaseDistribution]) -> Space:
    """Optuna distributions as a space. Raises SpaceError where one has no counterpart."""
    return Space({name: from_distribution(d) for name, d in distributions.items()})
