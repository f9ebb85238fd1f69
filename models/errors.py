"""What can go wrong with a language model, sorted by who must act.

ModelSpecError      the user: a model string, a model file or an extra that is not there
ModelError          nobody at once: the call failed, the advisors go on, the user is told once
├── ModelDown       the server does not answer, or answers with a fault of its own
├── ModelMissing    the server does not have this model
├── ModelTimeout    no answer in the time allowed
├── PromptTooLong   the prompt did not fit, or was cut
├── Truncated       the answer hit the token limit
├── EmptyAnswer     an answer without text
├── NotJSON         text that is no JSON object
└── OutOfRange      JSON that breaks the schema

A message states what happened, then what to do, in one line.
"""

from __future__ import annotations


class ModelSpecError(ValueError):
    """The user must change something; the message says what."""


class ModelError(RuntimeError):
    """A model call failed; whoever asked goes on without it."""


class ModelDown(ModelError):
    """The server does not answer, or answers with a fault of its own."""


class ModelMissing(ModelError):
    """The server, or the log that is replayed, does not have it."""


class ModelTimeout(ModelError):
    """No answer in the time allowed."""


class PromptTooLong(ModelError):
    """The prompt did not fit the context window, or the server cut it."""


class Truncated(ModelError):
    """The answer hit its token limit."""


class EmptyAnswer(ModelError):
    """The answer has no text."""


class NotJSON(ModelError):
    """The answer is no JSON object."""


class OutOfRange(ModelError):
    """The answer is JSON but breaks the schema."""
