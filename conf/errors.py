"""I am what can be wrong with a configuration."""

from collections.abc import Sequence


class ConfError(Exception):
    """A configuration cannot be used; `mistakes` holds one sentence for each thing that is wrong with it."""

    def __init__(self, mistakes: Sequence[str]) -> None:
        self.mistakes = tuple(mistakes)
        super().__init__("\n".join(self.mistakes))
