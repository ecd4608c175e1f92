"""Categories: named sets of SKUs, so that a rule can be given for many at once."""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate

import msgspec


class Category(msgspec.Struct, frozen=True):
    """A SKU belongs to it if one of the shell patterns matches, or if it is listed."""

    id: str
    patterns: tuple[str, ...] = ()
    skus: tuple[str, ...] = ()


class Membership:
    """Which SKUs belong to which categories."""

    def __init__(self, categories: Sequence[Category]) -> None:
        self._listed = {each.id: frozenset(each.skus) for each in categories}
        self._matchers = {each.id: tuple(map(matcher, each.patterns)) for each in categories}

    def has(self, category: str, sku: str) -> bool:
        """Say whether a SKU belongs to a category; to one that is not there, none does."""
        if category not in self._listed:
            return False
        if sku in self._listed[category]:
            return True
        return any(matches(sku) is not None for matches in self._matchers[category])

    def matcher(self, pattern: str, category: str) -> Callable[[str], bool]:
        """Return what says whether a SKU matches a shell pattern and, unless that is "", a category."""
        matches = matcher(pattern)
        if not category:
            return lambda sku: matches(sku) is not None
        return lambda sku: matches(sku) is not None and self.has(category, sku)


def matcher(pattern: str) -> Callable[[str], object]:
    """Return what matches a whole text with a shell pattern, case-sensitive, or returns None."""
    return re.compile(translate(pattern)).match
