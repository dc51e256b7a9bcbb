"""The error tree.

RecArenaError
├── InputError            bad file, setting or argument: names the place and the remedy
├── NotFound              a run, user, world or round that is not there
├── Conflict              the state of things forbids the call
│   ├── AlreadyThere      what is to be made exists already
│   └── Changed           the thing is not any more what the caller has seen
├── SessionLost           the recommender's stream ended before it answered
├── ProtocolViolation     a recommender broke a rule of the session
│   ├── TooSlow           what the session had to wait for did not come in time
│   ├── Flooded           more messages that answer nothing than a session may send
│   ├── Quarantined       too many of its answers in a row had to be rejected
│   ├── TooManySessions   the caller holds as many sessions as it may
│   └── NotYours          the caller is not who it says it is
├── RunClosed             the run was let go of here, or reset, while it was being read
├── LogDeparted           a request does not fit the event log that is to answer it
├── RunPaused             a failure policy asks to stop at the last committed round
│   ├── CapReached        the next call to a model could break a cap (llm/budget.py)
│   ├── ProviderFailed    a provider of models does not answer, or no key any more (llm/failures.py)
│   ├── TooManyFailures   more of a model's answers could not be read than may (llm/failures.py)
│   └── NotRecorded       a strict replay asks for a call that is not recorded (llm/failures.py)
└── RunFailed             the run cannot go on
"""

from __future__ import annotations


class RecArenaError(Exception):
    """Base of all errors that are shown to people as one line, without a traceback."""


class InputError(RecArenaError):
    """Bad input. `where` names the file and line or the field; `remedy` says what to do; `fields`
    are (path, problem) pairs where several fields of a tree are wrong."""

    def __init__(
        self,
        problem: str,
        *,
        where: str = "",
        remedy: str = "",
        fields: tuple[tuple[str, str], ...] = (),
    ) -> None:
        self.problem, self.where, self.remedy, self.fields = problem, where, remedy, fields
        text = f"{where}: {problem}" if where else problem
        super().__init__(f"{text}. {remedy}" if remedy else text)


class NotFound(RecArenaError):
    """Something that was named is not there."""


class Conflict(RecArenaError):
    """The state of things forbids the call."""


class AlreadyThere(Conflict):
    """What is to be made exists already."""


class Changed(Conflict):
    """The thing is not any more what the caller has seen."""


class SessionLost(RecArenaError):
    """The stream of a session ended while answers were awaited."""


class ProtocolViolation(RecArenaError):
    """A recommender broke a rule of the session; the message is sent to it."""


class TooSlow(ProtocolViolation):
    """What a session had to wait for did not come in time."""


class Flooded(ProtocolViolation):
    """More messages that answer nothing than a session may send."""


class Quarantined(ProtocolViolation):
    """Too many answers of a session in a row had to be rejected."""


class TooManySessions(ProtocolViolation):
    """The caller holds as many sessions as it may."""


class NotYours(ProtocolViolation):
    """The caller speaks for another recommender than it may, or asks for another's data."""


class RunClosed(RecArenaError):
    """The run is not open here any more; it may be found again under the same name."""


class LogDeparted(RecArenaError):
    """What is asked for in a replay is not in the log."""


class RunPaused(RecArenaError):
    """The run stops at the last committed round and can be resumed."""


class RunFailed(RecArenaError):
    """The run cannot go on."""
