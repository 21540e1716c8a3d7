"""Errors that are the user's to mend: one clear line each, never a traceback."""


class WinnowError(Exception):
    """A mistake in the input: the message names the value, what is allowed and how to mend it."""


class UnsupportedError(WinnowError):
    """A combination that Winnow refuses because it would be silently wrong; the message names what works."""
