"""The choice mind: a discrete-choice model of users. It is not a language model."""

from recarena.server.minds.choice.coefficients import Coefficients
from recarena.server.minds.choice.mind import ChoiceMind

__all__ = ["ChoiceMind", "Coefficients"]
