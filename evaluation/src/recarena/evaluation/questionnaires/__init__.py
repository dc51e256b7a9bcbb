"""Questionnaires: data files, what they must hold, and how they are administered."""
