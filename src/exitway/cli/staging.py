"""The rules that tests are tried on: those that files name, those of ``-f``, or those in force."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from exitway.cli.client import Client
from exitway.cli.rules import rules_in_files, rules_to_ask
from exitway.cli.target import Target
from exitway.explain.scene import Scene
from exitway.explain.sheet import rule_text
from exitway.explain.suites.file import Suite
from exitway.explain.suites.suite import Case, Outcome, Stage, chosen, names
from exitway.names.key import Key
from exitway.names.workload import Workload
from exitway.resources.document import Document
from exitway.resources.form import did_you_mean
from exitway.resources.problem import Problem, Problems, quoted
from exitway.server.trial import Trial

_Of = tuple[tuple[str, ...], str]
"""Files of rules (none: what is in force), and the namespace of those that name none."""


@dataclass
class Staging:
    """Where rules come from, and those that were read: each set of files once, with what was tried on them."""

    filenames: tuple[str, ...]
    target: Target
    now: datetime
    in_force: bool
    _staged: dict[_Of, Stage] = field(default_factory=dict)

    def run(self, suites: Sequence[tuple[Document, Suite]], keyword: str) -> list[Outcome]:
        """The outcomes of the chosen cases. Raises :class:`Problems`, of all rules and tests."""
        problems: list[Problem] = []
        cases: list[tuple[_Of, Case]] = []
        for document, suite in suites:
            try:
                of = self._read_rules(document, suite)
            except Problems as bad:
                problems += bad.problems
                continue
            problems += [fault for case in suite.cases for fault in _unknown_rule(case, self._staged[of])]
            cases += [(of, case) for case in chosen(suite.cases, keyword)]
        if problems:
            raise Problems(problems)
        if not cases:
            message = f"nothing is tested: {quoted(keyword)} stands in no call's words, namespace, labels or file"
            raise Problems([Problem("EXW1805", message)])
        return [self._staged[of].outcome(case) for of, case in cases]

    def known(self) -> set[str]:
        """All rules that were read, each with where it stands."""
        return {rule for stage in self._staged.values() for rule in _texts(stage, (one.key for one in stage.registry))}

    def unused(self) -> list[str]:
        """Those that no case speaks of, in whichever files they were tried."""
        unused = [_texts(stage, stage.unused()) for stage in self._staged.values()]
        others = [_texts(stage, (one.key for one in stage.registry)) for stage in self._staged.values()]
        used = {rule for all_of_them, of_these in zip(others, unused, strict=True) for rule in all_of_them - of_these}
        return sorted(self.known() - used)

    def _read_rules(self, document: Document, suite: Suite) -> _Of:
        beside = Path(document.file).parent
        named = self.filenames or tuple(os.path.normpath(beside / name) for name in suite.rules)
        of = () if self.in_force else named, suite.namespace
        if of not in self._staged:
            self._staged[of] = self._stage(*of)
        return of

    def _stage(self, filenames: tuple[str, ...], namespace: str) -> Stage:
        api = None if filenames else self.target.connect()
        rules = rules_to_ask(api, namespace) if api else rules_in_files(filenames, namespace)
        direct = api is None or isinstance(api, Client)  # nothing goes past the proxies of a cluster

        def scene_of(workload: Workload, at: datetime) -> Scene:
            return Trial(rules.registry, workload, at, direct=direct)

        return Stage(rules.registry, scene_of, rules.place_of, self.now)


def _texts(stage: Stage, keys: Iterable[Key]) -> set[str]:
    return {rule_text(key, None, stage.place_of) for key in keys}


def _unknown_rule(case: Case, stage: Stage) -> Sequence[Problem]:
    known = [resource.key for resource in stage.registry]
    if not case.rule or any(names(case.rule, key) for key in known):
        return ()
    hint = did_you_mean(case.rule, sorted({key.name for key in known})) if known else ""
    return [Problem("EXW1803", f"there is no rule {quoted(case.rule)}", hint, place=case.place)]
