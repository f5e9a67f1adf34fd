"""What is raised when the input cannot be used: one message for a person, and nothing half-written."""


class InputError(Exception):
    """An input that cannot be used, said in full for the person who gave it.

    The message names the file, the row or the parameter, and what to do about it. The command line
    prints it as it is, without a traceback, and ends with exit code 2. Each room derives its own kind
    (``DatabaseError``, ``WeightsError``, ...), so that a caller can catch just that one.
    """
