"""The suite for framework plugins."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from tracelet.testing.conformance.manners import Manners
from tracelet.testing.conformance.promises import broken, promise
from tracelet.testing.harness import Harness
from tracelet.testing.program import Ended, Program, run_program

_IMPORT: Final = "import importlib\nfor name in {names!r}:\n    importlib.import_module(name)\n"


class FrameworkConformance(Manners):
    """The promises of a framework plugin, one test each.

    Subclass it, set ``plugin`` and ``config``; ``modules``, the modules of the framework that it patches; ``program``,
    the source of a short training that uses the framework and knows nothing of tracelet; and ``records``, how many
    points of each metric that training should record.
    """

    modules: tuple[str, ...] = ()
    program: str | None = None
    records: Mapping[str, int] = {}

    def use(self, harness: Harness) -> None:
        """Have it live through a run without its framework."""

    @promise("imported_before", "It works if the framework is imported before the run starts")
    def test_framework_imported_before_the_run_starts(self) -> None:
        """Exactly the expected points are recorded."""
        self._check_recorded(self._train(before=_IMPORT.format(names=self.modules)))

    @promise("imported_after", "It works if the framework is imported after the run has started")
    def test_framework_imported_after_the_run_has_started(self) -> None:
        """Exactly the expected points are recorded."""
        self._check_recorded(self._train())

    @promise("twice", "Nothing is recorded twice, even if two runs follow each other")
    def test_nothing_is_recorded_twice(self) -> None:
        """The second run in one process records as much as the first."""
        self._check_recorded(self._train(runs=2))

    @promise("restores", "It restores what it has patched")
    def test_it_restores_what_it_has_patched(self) -> None:
        """The attributes of the modules, and of the classes in them, after the run are those before it."""
        ended = self._train(before=_IMPORT.format(names=self.modules), patched=self.modules)
        if changed := [name for answer in ended.answers for name in answer.get("patched", ())]:
            broken(f"after the run, these are not what they were: {', '.join(changed[:8])}")

    @promise("untouched", "It does not import the framework itself")
    def test_it_does_not_import_the_framework(self) -> None:
        """A program that does not use the framework does not pay for it."""
        if not self.modules:
            self.not_applicable("the suite has no modules")
        probe = f"import sys, json\nloaded = [name for name in {self.modules!r} if name in sys.modules]\n"
        ended = self._run([("exec", probe), ("answer", "loaded")])
        if loaded := [name for answer in ended.answers for name in answer.get("loaded", ())]:
            broken(f"it imports {', '.join(loaded)}")

    def _train(self, *, before: str = "", runs: int = 1, patched: tuple[str, ...] = ()) -> Ended:
        if self.program is None:
            self.not_applicable("the suite has no program")
        steps: list[tuple[Any, ...]] = [("exec", str(self.program)), ("finish",), ("recorded",)]
        for _ in range(runs - 1):
            steps += [("again",), *steps[:3]]
        return self._run(steps, before=before, patched=patched)

    def _run(self, steps: list[tuple[Any, ...]], **options: Any) -> Ended:
        if why := self._why_not_elsewhere():
            self.not_applicable(why)
        program = Program(
            plugin=self._spec(),
            name=self.metadata.name,
            config=self.table(),
            folder=self.folder(),
            run_id="run-1",
            steps=steps,
            **options,
        )
        ended = run_program(program)
        if ended.status:
            broken(f"the program ended with status {ended.status}: {ended.err.strip()[-800:]}")
        return ended

    def _check_recorded(self, ended: Ended) -> None:
        for answer in ended.answers:
            if "recorded" in answer and (found := answer["recorded"]) != dict(self.records):
                broken(f"expected {json.dumps(dict(self.records))} points, found {json.dumps(found)}")
