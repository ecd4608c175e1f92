"""A file that an operator hands in and that has problems: nothing is done with any of it."""


class BadFile(Exception):
    """The file has problems; each says where, what was expected, and what came."""

    def __init__(self, *problems: str) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems
