"""What can go wrong in the predictor.

PredictorFault              the family
├── CheckpointFault         the user: a trained predictor that is missing, damaged or made otherwise
└── LogFault                the user: a log that cannot be read or written as asked
"""

from __future__ import annotations


class PredictorFault(ValueError):
    """The family. A message states the rule, the value and what to do."""


class LogFault(PredictorFault):
    """A log, or a line of it, breaks a rule; the message begins with the place."""


class CheckpointFault(PredictorFault):
    """A trained predictor that cannot be used; the message begins with its file."""
