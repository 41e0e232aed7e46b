"""The requests to one destination, as rules tell them apart: methods by paths."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, replace

from exitway.explain.differences.difference import EVERY_METHOD, EVERY_PATH, Methods, Paths
from exitway.explain.differences.parts import Method, Path, methods_of, paths_of
from exitway.names.call import Call
from exitway.names.request import path_matches
from exitway.resources.intent import Target

Cell = tuple[Method, Path]


@dataclass(frozen=True)
class Grid:
    """All cells."""

    methods: tuple[Method, ...]
    paths: tuple[Path, ...]

    @classmethod
    def of(cls, targets: Iterable[Target]) -> Grid:
        """The requests that these tell apart."""
        known = list(targets)
        methods = methods_of({method for target in known for method in target.methods})
        return cls(tuple(methods), tuple(paths_of(path for target in known for path in target.paths)))

    def calls(self, call: Call) -> list[tuple[Cell, Call]]:
        """A request of each cell, to where this one goes."""
        return [
            ((method, path), replace(call, method=method.said, path=path.said, overridden=method.overridden))
            for path in self.paths
            for method in self.methods
        ]

    def boxes(self, cells: Collection[Cell]) -> Iterator[tuple[Methods, Paths, frozenset[Cell]]]:
        """The cells in few words."""
        of_methods: dict[frozenset[Method], list[Path]] = {}
        for path in self.paths:
            methods = frozenset(method for method in self.methods if (method, path) in cells)
            if methods:
                of_methods.setdefault(methods, []).append(path)
        for methods, paths in of_methods.items():
            together = frozenset((method, path) for method in methods for path in paths)
            yield self._methods(methods), self._paths(paths), together

    def _methods(self, some: Collection[Method]) -> Methods:
        if len(some) == len(self.methods):
            return EVERY_METHOD
        clear = {one.name for one in some if not one.doubtful}
        others = "" in clear
        named = {one.name for one in self.methods if one.name and (one.name in clear) != others}
        return Methods(tuple(sorted(named)), others, any(one.doubtful for one in some))

    def _paths(self, some: Collection[Path]) -> Paths:
        if len(some) == len(self.paths):
            return EVERY_PATH
        plain = {one.pattern for one in some if one.plain}
        wider = {one.pattern: self._wider(one) for one in self.paths if one.plain}
        these = [pattern for pattern in wider if pattern in plain and wider[pattern] not in plain]
        but = [pattern for pattern in wider if pattern not in plain and wider[pattern] in plain]
        return Paths(_sorted(these), _sorted(but), not all(one.plain for one in some))

    def _wider(self, part: Path) -> str | None:
        """The next wider pattern: of all that match what this one does, the narrowest; None: this is the widest."""
        at = self.paths.index(part)  # exact ones come first, then the longest prefixes
        matching = (
            one.pattern for one in self.paths[at + 1 :] if one.plain and path_matches(one.pattern or "*", part.said)
        )
        return next(matching, None)


def _sorted(patterns: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted(pattern or "/*" for pattern in patterns))
