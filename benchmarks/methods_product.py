"""The product under a budget of epochs: its tuning graph without model, whole or with one part off."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import methods
from epochs import MAX_TRAININGS, METRIC, Meter

from luthier.memory.past import PastStudy
from luthier.trials.advisor import Advisor
from luthier.trials.records import Config, Direction, Outcome
from luthier.trials.runner import OnReport
from luthier.trials.space import Space

if TYPE_CHECKING:
    from methods_epochs import EpochMethod

    from luthier.predictor.workflow import Workflow

SECONDS = 60.0  # of an epoch: that gate 2 knows how early failures die


class EpochRunner:
    """A runner that trains on a meter, in this process; each epoch counts as `SECONDS`."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter

    def run(self, config: Config, folder: Path, *, seed: int = 0, on_report: OnReport | None = None) -> Outcome:
        """Report each epoch; nothing is written to the folder."""
        heard = None if on_report is None else lambda epoch, value: on_report(epoch, {METRIC: value})
        found = self._meter.train(config, heard)
        return replace(found, seconds=SECONDS * len(found.trajectory.steps))

    def close(self) -> None:
        """Nothing to close."""


def luthier_with(
    *,
    stop_early: bool = True,
    hurried: bool = True,
    gate: bool = True,
    memory: bool = True,
    critic: bool = True,
    without: str | None = None,
    advisors: Sequence[Advisor] | None = None,
) -> EpochMethod:
    """The product's tuning graph, with or without parts of it.

    Args:
        hurried: whether it is told that its time is limited.
        gate: gate 2; gate 1 has nothing to decide without a model.
        memory: the transfer advisor, where there are past studies.
        critic: its scorer; its rules stay, since the advisors' own candidates go through them.
        without: the node that is taken out of the workflow.
        advisors: others than the product's.
    """

    def tune(
        meter: Meter,
        space: Space,
        direction: Direction,
        *,
        starts: Sequence[Config],
        seed: int,
        epochs: int,
        past: Sequence[PastStudy] = (),
    ) -> None:
        from luthier.graphs.gating import Gates
        from luthier.predictor.trial_gate import TrialGate

        gates = Gates(judge=TrialGate if gate else None)
        methods.by_graph(
            EpochRunner(meter),
            space,
            direction,
            starts=starts,
            trials=MAX_TRAININGS,
            hours=meter.left * SECONDS / 3600 if hurried else None,
            seed=seed,
            past=past if memory else (),
            stop_early=stop_early,
            gates=gates if critic else replace(gates, worth=None),
            workflow=None if without is None else lacking(without),
            advisors=advisors,
        )

    return tune


def lacking(name: str) -> Workflow:
    """The workflow without a model, its node of this id left out, and what led to it leading to what follows."""
    from luthier.predictor.workflow import workflow_named

    whole = workflow_named("advisors")
    after = whole.ways(name)[0].target
    nodes = tuple(node for node in whole.nodes if node.id != name)
    edges = tuple(
        edge.model_copy(update={"target": after}) if edge.target == name else edge
        for edge in whole.edges
        if edge.source != name
    )
    return whole.model_copy(update={"nodes": nodes, "edges": edges})
