"""What can go wrong with a study, sorted by who must act.

InputError          the user: a study file, a space, a command line or a folder is wrong
├── SpaceError      a hyperparameter, a condition, a constraint or a configuration
├── SpecError       a study file
└── StudyError      a study folder: missing, locked, of another space, not writable
TrialError          nobody: one trial failed, the study goes on (see `trials.records.Failure`)

A message states the rule, then the values, then what to do. Only the command line prints it.
"""


class InputError(ValueError):
    """The user must change something; the message says what."""


class SpaceError(InputError):
    """A space or a configuration breaks a rule."""


class SpecError(InputError):
    """A study file breaks a rule."""


class StudyError(InputError):
    """A study folder cannot be used as asked."""


class TrialError(RuntimeError):
    """A runner could not carry a trial to its end."""
