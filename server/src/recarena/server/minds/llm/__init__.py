"""Minds that are language models, in two ways of asking: merged and faithful."""
