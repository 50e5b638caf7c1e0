"""The errors that a user can mend, kept apart from the defects that only a developer can.

Nothing here imports anything, so that the Snakefile may use it while it is parsed.
"""


class D3SError(Exception):
    """Something the user can put right: says what is wrong, where, and what to do.

    Args:
        problem: what is wrong, naming the file, row or setting.
        remedy: what to do about it, as an instruction.
    """

    def __init__(self, problem: str, remedy: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.problem}\n  what to do: {self.remedy}"


class BadInput(Exception):
    """One input (an image, a mask, a row) that can't be used; it becomes a row with a status and a reason.

    Args:
        status: a short machine-readable word, such as ``truncated`` or ``empty_mask``.
        reason: the sentence for a person.
    """

    def __init__(self, status: str, reason: str) -> None:
        super().__init__(reason)
        self.status = status
        self.reason = reason
