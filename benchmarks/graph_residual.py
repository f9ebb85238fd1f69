"""How many different graphs the graph network needs before it sees what counts and shape do not show.

    python benchmarks/graph_residual.py --graphs 30,100,300

In generated logs a workflow is good where its check comes after its solution, and bad where it comes before: same
operators, same number of edges, another order. The AUC on graphs that training has not seen is 0.5 for whoever does not
see the order. AFlow's logs hold 35, 58 and 21 graphs in a domain.
"""

from __future__ import annotations

import argparse

import numpy as np
from rich.console import Console
from rich.table import Table
from sklearn.metrics import roc_auc_score

from luthier.predictor.ability import Ability
from luthier.predictor.encoding import Encoder
from luthier.predictor.graph_ability import GraphAbility
from luthier.predictor.logs import LoggedWorkflow, Logs, Pairs, Task

TASKS = 20
RUNS = 3
STEPS = ("Solve", "Check", "Ensemble", "Format")


def logs_of(graphs: int, seed: int) -> Logs:
    """Chains of four to seven steps, one of them `Solve` and one `Check`, on tasks that are equally hard."""
    rng = np.random.default_rng(seed)
    workflows = tuple(_chain(i, rng) for i in range(graphs))
    tasks = tuple(Task(str(i), "made", f"task {i}") for i in range(TASKS))
    pairs = Pairs.all_of(workflows, tasks)
    good = np.array([w.operators.index("Check") > w.operators.index("Solve") for w in workflows])
    chance = np.where(good, 0.8, 0.35)[pairs.workflow]
    runs = np.full(len(pairs), RUNS)
    return Logs(workflows, tasks, pairs.workflow, pairs.task, runs=runs, successes=rng.binomial(RUNS, chance))


def _chain(number: int, rng: np.random.Generator) -> LoggedWorkflow:
    others = rng.choice(STEPS[2:], rng.integers(2, 6))
    steps = tuple(str(step) for step in rng.permutation([*STEPS[:2], *others]))
    words = tuple(f"step of workflow {number}" for _ in steps)  # so that equal chains are graphs of their own
    edges = tuple((i, i + 1) for i in range(len(steps) - 1))
    return LoggedWorkflow(str(number), "made", words, edges, steps)


def auc(estimator: Ability, logs: Logs, graphs: int) -> float:
    """On the last fifth of the graphs, trained on the others."""
    unseen = logs.workflow >= graphs * 4 // 5
    test = logs.take(unseen)
    return float(roc_auc_score(test.label, estimator.fit(logs.take(~unseen)).predict(test).probability))


def main() -> None:
    """Print the AUC on unseen graphs by their number, mean and range over seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--graphs", default="30,100,300", help="numbers of different graphs (%(default)s)")
    parser.add_argument("--seeds", type=int, default=3, help="draws of the logs (%(default)s)")
    args = parser.parse_args()
    table = Table("graphs", "abilities alone", "with the graph network")
    for graphs in map(int, args.graphs.split(",")):
        rows = []
        for seed in range(args.seeds):
            logs = logs_of(graphs, seed)
            rows.append([auc(make(Encoder(None)), logs, graphs) for make in (Ability, GraphAbility)])
        found = np.array(rows)  # (seeds, 2)
        ends = zip(found.mean(axis=0), found.min(axis=0), found.max(axis=0), strict=True)
        table.add_row(str(graphs), *[f"{mean:.2f} ({low:.2f} to {high:.2f})" for mean, low, high in ends])
    Console().print(table)


if __name__ == "__main__":
    main()
