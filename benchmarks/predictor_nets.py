"""The literature's graph networks as estimators: GCN, GATv2, Graph Transformer and Dir-GNN, as FLORA-Bench uses them.

As there (arXiv 2503.11301): a node is its prompt's embedding, two layers of convolution, the mean over the nodes, the
task's embedding beside it, and a small network on both. Ours is the binomial loss on runs instead of labels, a
learning rate and width for little data, and the best epoch by loss instead of accuracy.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Self

import numpy as np
import torch
from torch import Tensor, nn
from torch_geometric.nn import DirGNNConv, GATv2Conv, GCNConv, TransformerConv, global_mean_pool

from luthier.predictor.baselines import check, estimates
from luthier.predictor.encoding import Encoder
from luthier.predictor.estimator import Estimates, Progress, silent
from luthier.predictor.logs import LoggedWorkflow, Logs, Pairs

HIDDEN = 64  # width of all layers; FLORA's 512 only overfits a hundred graphs, and takes longer
DROPOUT = 0.3
RATE = 5e-3  # Adam's learning rate
DECAY = 5e-4  # FLORA's weight decay
BATCH = 1024  # pairs a step
EPOCHS = 40
PATIENCE = 6  # epochs without a better validation loss
VALIDATION = 0.15  # share of the training pairs
THREADS = 1  # such small layers gain nothing from a second one

CONVOLUTIONS: Mapping[str, Callable[[int, int], nn.Module]] = {
    "gcn": GCNConv,
    "gatv2": GATv2Conv,
    "transformer": TransformerConv,
    "dir-gnn": lambda n, m: DirGNNConv(GCNConv(n, m), alpha=0.5, root_weight=True),
}


class _Net(nn.Module):
    """Shapes: nodes (n_nodes, d), edges (2, n_edges), graph of each node (n_nodes,), tasks (n_tasks, d) -> logits."""

    def __init__(self, convolution: Callable[[int, int], nn.Module], size: int) -> None:
        super().__init__()
        self.convolutions = nn.ModuleList([convolution(size, HIDDEN), convolution(HIDDEN, HIDDEN)])
        self.task = nn.Linear(size, HIDDEN)
        self.head = nn.Sequential(nn.Linear(2 * HIDDEN, HIDDEN), nn.ReLU(), nn.Dropout(DROPOUT), nn.Linear(HIDDEN, 1))
        self.drop = nn.Dropout(DROPOUT)

    def forward(self, nodes: Tensor, edges: Tensor, graph: Tensor, tasks: Tensor, w: Tensor, t: Tensor) -> Tensor:
        for convolution in self.convolutions:
            nodes = self.drop(torch.relu(convolution(nodes, edges)))
        pooled = global_mean_pool(nodes, graph)
        logits: Tensor = self.head(torch.cat([pooled[w], torch.relu(self.task(tasks))[t]], dim=1))
        return logits.squeeze(1)


class GraphNet:
    """A graph network by name. Deviation: infinite, as it gives none."""

    def __init__(self, name: str, encoder: Encoder, seed: int = 0) -> None:
        self.name = name
        self._encoder, self._seed = encoder, seed
        self._net: _Net | None = None
        self._suites: set[str] | None = None

    def fit(self, logs: Logs, progress: Progress = silent) -> Self:
        """Train until the held-out part of the pairs gets no better. Raises ValueError for empty logs."""
        check(logs)
        self._suites = set(map(str, logs.suite))
        with _repeatable(self._seed):
            self._net = _Net(CONVOLUTIONS[self.name], self._encoder.size)
            self._train(self._net, logs, progress)
        return self

    def _train(self, net: _Net, logs: Logs, progress: Progress) -> None:
        rng = np.random.default_rng(self._seed)
        order = rng.permutation(len(logs))
        held = order[: int(VALIDATION * len(logs))] if len(logs) > 1 else order
        rows = order[len(held) :] if len(held) < len(logs) else order
        inputs, w, t = self._tensors(logs)
        won, ran = (torch.tensor(x, dtype=torch.float32) for x in (logs.successes, logs.runs))
        optimizer = torch.optim.Adam(net.parameters(), lr=RATE, weight_decay=DECAY)
        best, since, kept = np.inf, 0, net.state_dict()
        for epoch in range(EPOCHS):
            net.train()
            for batch in np.array_split(rng.permutation(rows), -(-len(rows) // BATCH)):
                optimizer.zero_grad()
                _loss(net(*inputs, w[batch], t[batch]), won[batch], ran[batch]).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
            net.eval()
            with torch.no_grad():
                loss = float(_loss(net(*inputs, w[held], t[held]), won[held], ran[held])) if len(held) else -epoch
            progress(self.name, (epoch + 1) / EPOCHS)
            since += 1
            if loss < best:
                best, since, kept = loss, 0, {k: v.clone() for k, v in net.state_dict().items()}
            if since >= PATIENCE:
                break
        net.load_state_dict(kept)
        progress(self.name, 1.0)

    def predict(self, pairs: Pairs) -> Estimates:
        """Raises ValueError before `fit`."""
        if self._net is None or not len(pairs):
            return estimates(np.zeros(0), pairs, self._suites)
        inputs, w, t = self._tensors(pairs)
        self._net.eval()
        with torch.no_grad(), _repeatable(self._seed):
            found = torch.sigmoid(self._net(*inputs, w, t).double())
        return estimates(found.numpy(), pairs, self._suites)

    def _tensors(self, pairs: Pairs) -> tuple[tuple[Tensor, ...], Tensor, Tensor]:
        """What the net reads of the workflows and tasks that are in the pairs, and the places of each pair in it."""
        w, workflow = np.unique(pairs.workflow, return_inverse=True)
        t, task = np.unique(pairs.task, return_inverse=True)
        workflows = [pairs.workflows[i] for i in w]
        nodes = torch.from_numpy(np.concatenate([self._encoder.texts(one.nodes) for one in workflows]))
        graph = torch.from_numpy(np.repeat(np.arange(len(workflows)), [len(one.nodes) for one in workflows]))
        tasks = torch.from_numpy(self._encoder.tasks([pairs.tasks[i] for i in t]))
        return (nodes, _edges(workflows), graph, tasks), torch.from_numpy(workflow), torch.from_numpy(task)


def _edges(workflows: list[LoggedWorkflow]) -> Tensor:
    """The edges of all graphs in one list, shape (2, n_edges)."""
    begins = np.cumsum([0, *(len(one.nodes) for one in workflows)])
    found = [(a + begin, b + begin) for one, begin in zip(workflows, begins, strict=False) for a, b in one.edges]
    return torch.tensor(found, dtype=torch.long).reshape(-1, 2).T


def _loss(logit: Tensor, won: Tensor, ran: Tensor) -> Tensor:
    """Mean negative log likelihood of a run."""
    return nn.functional.binary_cross_entropy_with_logits(logit, won / ran, ran, reduction="sum") / ran.sum()


@contextmanager
def _repeatable(seed: int) -> Iterator[None]:
    """Seeded, on few threads; both as before afterwards."""
    threads = torch.get_num_threads()
    torch.set_num_threads(min(THREADS, threads))
    try:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield
    finally:
        torch.set_num_threads(threads)
