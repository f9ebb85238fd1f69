"""The graph residual: what a graph network sees in a workflow, given the task, that abilities and difficulties do not.

Nodes carry their prompt's vector, their operator and whether they may be skipped; two layers pass messages along and
against the edges with weights of their own (Dir-GNN, Rossi et al. 2023, arXiv 2305.10498, over GraphSAGE); the pooled
graph gives one number, and one more by its product with the task's vector. That is added to the logit of `Ability`.

It learns from logits that were made without the row in question (cross-fitting), else they would know the answer.
Rows of a fifth of the tasks and graphs are kept apart: training stops at the best loss there.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.data import Batch, Data
from torch_geometric.nn import DirGNNConv, SAGEConv, global_mean_pool

from . import encoding
from .encoding import Encoder
from .logs import LoggedWorkflow, Pairs, Task

HIDDEN = 32  # more did not help on a hundred graphs
EPOCHS = 300
PATIENCE = 30  # epochs without a better loss
RATE = 3e-3  # Adam's step
DECAY = 1e-2  # of weights, so that the residual stays at zero unless the data pull it away


@dataclass(frozen=True)
class Target:
    """What the residual is fitted to; all of shape (n,), one a row of the pairs."""

    mean: np.ndarray  # of the logit, made without the row
    variance: np.ndarray  # of that
    frequency: np.ndarray  # of success
    weight: np.ndarray  # effective runs


@contextmanager
def one_thread() -> Iterator[None]:
    """Graphs this small are slower on several threads, and far slower where others want the cores too."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class Graphs:
    """Workflows as one batch of PyTorch Geometric."""

    def __init__(self, workflows: Sequence[LoggedWorkflow], encoder: Encoder, operators: tuple[str, ...]) -> None:
        self.batch = Batch.from_data_list([_data(workflow, encoder, operators) for workflow in workflows])
        self.width = int(self.batch.x.shape[1])


def _data(workflow: LoggedWorkflow, encoder: Encoder, operators: tuple[str, ...]) -> Data:
    named = encoding.counts([[operator] for operator in workflow.operators], operators)
    skipped = np.array(workflow.conditional, float)[:, None]
    x = np.hstack([encoder.texts(workflow.nodes), named, skipped])
    edges = torch.tensor(workflow.edges, dtype=torch.long).reshape(-1, 2).T.contiguous()  # (2, edges)
    return Data(x=torch.tensor(x, dtype=torch.float32), edge_index=edges)


class ResidualNet(nn.Module):
    """One network.

    Shapes:
        nodes: (nodes, width), edges (2, edges), membership (nodes,), task vectors (tasks, size); out (n,) for n pairs.
    """

    def __init__(self, width: int, size: int) -> None:
        super().__init__()
        self.first = DirGNNConv(SAGEConv(width, HIDDEN))
        self.second = DirGNNConv(SAGEConv(HIDDEN, HIDDEN))
        self.alone = nn.Linear(HIDDEN, 1)
        self.graph, self.task = nn.Linear(HIDDEN, HIDDEN, bias=False), nn.Linear(max(size, 1), HIDDEN, bias=False)
        self.drop = nn.Dropout(0.2)

    def forward(self, batch: Batch, tasks: Tensor, workflow: Tensor, task: Tensor) -> Tensor:
        """The residual of each pair, in logits."""
        hidden = torch.relu(self.first(batch.x, batch.edge_index))
        hidden = torch.relu(self.second(self.drop(hidden), batch.edge_index))
        pooled = global_mean_pool(hidden, batch.batch)  # (workflows, HIDDEN)
        alone = self.alone(pooled).squeeze(1)
        together = (self.graph(pooled)[workflow] * self.task(tasks)[task]).sum(dim=1)
        return torch.as_tensor(alone[workflow] + together)


class GraphResidual:
    """An ensemble of networks on one target.

    Args:
        members: networks, each with its own start and its own rows kept apart.
    """

    def __init__(self, encoder: Encoder, members: int = 3, seed: int = 0) -> None:
        self._encoder, self._members, self._seed = encoder, members, seed
        self._operators: tuple[str, ...] = ()
        self.nets: list[ResidualNet] = []

    def fit(self, pairs: Pairs, target: Target) -> GraphResidual:
        """Train all members; the same seed gives the same networks."""
        self._operators = encoding.vocabulary([w.operators for w in pairs.workflows])
        inputs = self._inputs(pairs)
        with one_thread():
            self.nets = [self._train(pairs, inputs, target, self._seed + i) for i in range(self._members)]
        return self

    def predict(self, pairs: Pairs) -> tuple[np.ndarray, np.ndarray]:
        """The mean residual of each pair and its variance over members; shapes (n,)."""
        batch, tasks, workflow, task = self._inputs(pairs)
        with torch.no_grad(), one_thread():
            found = np.array([net.eval()(batch, tasks, workflow, task).numpy() for net in self.nets])
        return found.mean(axis=0), found.var(axis=0)

    def _inputs(self, pairs: Pairs) -> tuple[Batch, Tensor, Tensor, Tensor]:
        graphs = Graphs(pairs.workflows, self._encoder, self._operators)
        vectors = _task_vectors(pairs.tasks, self._encoder)
        return graphs.batch, torch.tensor(vectors), torch.tensor(pairs.workflow), torch.tensor(pairs.task)

    def _train(
        self, pairs: Pairs, inputs: tuple[Batch, Tensor, Tensor, Tensor], target: Target, seed: int
    ) -> ResidualNet:
        batch, tasks, workflow, task = inputs
        kept = _kept_apart(pairs, seed)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net = ResidualNet(batch.x.shape[1], tasks.shape[1])
            for zero in (net.alone.weight, net.alone.bias, net.graph.weight):  # begins without any residual
                nn.init.zeros_(zero)
            if kept.all():  # too few rows to know when to stop: no residual
                return net
            optimizer = torch.optim.AdamW(net.parameters(), lr=RATE, weight_decay=DECAY)
            best, since, state = np.inf, 0, {k: v.clone() for k, v in net.state_dict().items()}
            for _ in range(EPOCHS):
                with torch.no_grad():
                    loss = float(_loss(net.eval()(batch, tasks, workflow, task), target, kept))
                if loss < best - 1e-5:
                    best, since, state = loss, 0, {k: v.clone() for k, v in net.state_dict().items()}
                elif (since := since + 1) >= PATIENCE:
                    break
                optimizer.zero_grad()
                torch.autograd.backward(_loss(net.train()(batch, tasks, workflow, task), target, ~kept))
                optimizer.step()
            net.load_state_dict(state)
        return net


def _loss(residual: Tensor, target: Target, rows: np.ndarray) -> Tensor:
    """Binomial cross-entropy a run at the rows, averaged over the logit's uncertainty as `mixed.probability` does."""
    damping = torch.tensor(1 / np.sqrt(1 + np.pi * target.variance[rows] / 8), dtype=torch.float32)
    logit = damping * (torch.tensor(target.mean[rows], dtype=torch.float32) + residual[torch.tensor(rows)])
    share = torch.tensor(target.frequency[rows], dtype=torch.float32)
    weight = torch.tensor(target.weight[rows], dtype=torch.float32)
    found = nn.functional.binary_cross_entropy_with_logits(logit, share, weight=weight, reduction="sum")
    return found / weight.sum()


def _kept_apart(pairs: Pairs, seed: int) -> np.ndarray:
    """Rows of a fifth of the graphs and of a fifth of the tasks, shape (n,), bool."""
    rng = np.random.default_rng([seed, 5])
    graphs, tasks = np.unique(pairs.graph), np.unique(pairs.task)
    chosen = [rng.choice(some, max(len(some) // 5, 1), replace=False) for some in (graphs, tasks)]
    return np.asarray(np.isin(pairs.graph, chosen[0]) | np.isin(pairs.task, chosen[1]))


def _task_vectors(tasks: Sequence[Task], encoder: Encoder) -> np.ndarray:
    vectors = encoder.tasks(tasks)
    return vectors if vectors.shape[1] else np.zeros((len(tasks), 1), np.float32)
