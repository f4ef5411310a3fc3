"""Errors that a user can cause and mend; the command line prints them without a traceback."""


class UserError(Exception):
    """Something in the command or in a params file is wrong.

    The message names the thing, the place and the way out.
    """

    exit_code = 2


class DataError(UserError):
    """A file that a command reads is missing, damaged or not in the expected form."""

    exit_code = 1


def first_line(error: Exception) -> str:
    """Return the first line of an error's message, or the name of its class."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
