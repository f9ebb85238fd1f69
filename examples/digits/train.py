"""A small network on scikit-learn's handwritten digits: 1,797 images of 8 x 8 pixels, ten classes.

The split is fixed: 600 images to train on, 400 to choose by (validation), 797 to judge with (test). The seed draws the
initial weights, the order of the batches, the dropout and the shifts, never the split.
"""

from __future__ import annotations

import argparse
import math
import os

import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

import luthier

SPLIT_SEED = 20  # one split for every trial: configurations are compared on the same images
TRAIN, VALIDATION = 600, 400  # images; the other 797 are the test
SIDE, CLASSES, BRIGHTEST = 8, 10, 16.0  # of scikit-learn's digits
Data = tuple[Tensor, Tensor]  # images (n, 64) in [0, 1], labels (n,)


def main() -> None:
    """Train, report each epoch, and at the end report the test accuracy."""
    args = parse()
    torch.set_num_threads(1)  # the matrices are small: more threads would wait for each other
    torch.manual_seed(args.seed)
    train, validation, test = load_split()
    model = build(args)
    optimizer = build_optimizer(args, model)
    for epoch in range(args.epochs):
        train_loss = train_epoch(model, optimizer, train, args)
        if not math.isfinite(train_loss):
            # No later epoch mends weights that are not numbers.
            luthier.report(epoch, train_loss=math.nan, val_loss=math.nan, val_accuracy=math.nan)
            return
        val_loss, val_accuracy = evaluate(model, validation)
        luthier.report(epoch, train_loss=train_loss, val_loss=val_loss, val_accuracy=val_accuracy)
    luthier.report(args.epochs - 1, test_accuracy=evaluate(model, test)[1])


def parse() -> argparse.Namespace:
    """The settings. The defaults are those of TensorFlow's beginner tutorial on the same kind of task.

    https://www.tensorflow.org/tutorials/quickstart/beginner: one layer of 128 units, dropout 0.2, Adam with Keras's
    learning rate and batch size. It trains for 5 epochs of 60,000 images; here it is 60 of 600.
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lr", type=float, default=1e-3, help="learning rate")
    parser.add_argument("--units", type=int, default=128, help="width of each hidden layer")
    parser.add_argument("--layers", type=int, default=1, help="number of hidden layers")
    parser.add_argument("--convolutions", type=int, default=0, help="3 x 3 convolutions before them")
    parser.add_argument("--channels", type=int, default=16, help="of each convolution")
    parser.add_argument("--optimizer", choices=["sgd", "adam"], default="adam")
    parser.add_argument("--momentum", type=float, default=0.9, help="of sgd")
    parser.add_argument("--dropout", type=float, default=0.2, help="share of units that rest, after each hidden layer")
    parser.add_argument("--weight-decay", type=float, default=0.0, help="decoupled for adam (AdamW)")
    parser.add_argument("--batch-size", type=int, default=32, help="images a step")
    parser.add_argument("--shift", type=float, default=0.0, help="share of training images moved by one pixel")
    parser.add_argument("--epochs", type=int, default=60)
    parser.add_argument("--seed", type=int, default=int(os.environ.get("LUTHIER_SEED", "0")))
    return parser.parse_args()


def load_split() -> tuple[Data, Data, Data]:
    """Training, validation and test images, classes in equal shares."""
    digits = load_digits()
    order, rest = train_test_split(
        range(len(digits.target)), train_size=TRAIN, stratify=digits.target, random_state=SPLIT_SEED
    )
    chosen, judged = train_test_split(
        rest, train_size=VALIDATION, stratify=digits.target[rest], random_state=SPLIT_SEED
    )
    images = torch.tensor(digits.data / BRIGHTEST, dtype=torch.float32)
    labels = torch.tensor(digits.target)
    train, validation, test = ((images[part], labels[part]) for part in (order, chosen, judged))
    return train, validation, test


def build(args: argparse.Namespace) -> nn.Module:
    """Convolutions that halve the side, hidden layers with ReLU and dropout, one output for each class."""
    layers: list[nn.Module] = [nn.Unflatten(1, (1, SIDE, SIDE))]
    channels, side = 1, SIDE
    for _ in range(args.convolutions):
        layers += [nn.Conv2d(channels, args.channels, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        channels, side = args.channels, side // 2
    layers.append(nn.Flatten())
    width = channels * side * side
    for _ in range(args.layers):
        layers += [nn.Linear(width, args.units), nn.ReLU(), nn.Dropout(args.dropout)]
        width = args.units
    return nn.Sequential(*layers, nn.Linear(width, CLASSES))


def build_optimizer(args: argparse.Namespace, model: nn.Module) -> torch.optim.Optimizer:
    """Plain SGD with momentum, or AdamW, which is Adam where there is no weight decay."""
    if args.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), args.lr, args.momentum, weight_decay=args.weight_decay)
    return torch.optim.AdamW(model.parameters(), args.lr, weight_decay=args.weight_decay)


def train_epoch(model: nn.Module, optimizer: torch.optim.Optimizer, train: Data, args: argparse.Namespace) -> float:
    """One pass over the training images in random order; the mean loss on the way."""
    model.train()
    images, labels = train
    total = 0.0
    for batch in torch.randperm(len(labels)).split(args.batch_size):
        loss = cross_entropy(model(shifted(images[batch], args.shift)), labels[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item() * len(batch)
    return total / len(labels)


def shifted(images: Tensor, share: float) -> Tensor:
    """The images, a random share of them moved by one pixel to one of four sides; what leaves comes in as black."""
    if share == 0:
        return images
    pictures = nn.functional.pad(images.view(-1, SIDE, SIDE), (1, 1, 1, 1))
    moves = torch.tensor([(1, 1), (0, 1), (2, 1), (1, 0), (1, 2)])
    side = torch.randint(1, len(moves), (len(images),)) * (torch.rand(len(images)) < share)
    down, right = moves[side].unbind(1)
    rows = (torch.arange(SIDE) + down[:, None])[:, :, None]
    columns = (torch.arange(SIDE) + right[:, None])[:, None, :]
    return pictures[torch.arange(len(images))[:, None, None], rows, columns].view(len(images), -1)


@torch.no_grad()
def evaluate(model: nn.Module, data: Data) -> tuple[float, float]:
    """Mean loss and accuracy."""
    model.eval()
    images, labels = data
    scores = model(images)
    return cross_entropy(scores, labels).item(), (scores.argmax(1) == labels).float().mean().item()


if __name__ == "__main__":
    main()
