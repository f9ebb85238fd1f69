"""Drafts: what is read from a script that never runs, and that every draft is a study file that loads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from luthier.trials.constants import with_constants
from luthier.trials.draft import Draft, draft
from luthier.trials.draft_options import Kind, Option
from luthier.trials.draft_ranges import is_cost, is_setting, suggest
from luthier.trials.errors import SpecError
from luthier.trials.records import Direction
from luthier.trials.space import Choice, Float, Int
from luthier.trials.spec import load_spec

NEVER = "raise SystemExit('a draft must not run the script')\n"


def drafted(folder: Path, source: str, name: str = "train.py") -> Draft:
    """The draft of a script, after it was seen to load."""
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(source)
    made = draft(folder / name)
    (folder / "study.yaml").write_text(made.yaml)
    assert load_spec(folder / "study.yaml") == made.spec
    return made


ARGPARSE = (
    NEVER
    + """
import argparse
import luthier
NAMES = ["relu", "gelu"]
parser = argparse.ArgumentParser()
parser.add_argument("-l", "--lr", type=float, default=1e-3, help="learning rate (default: %(default)s)")
parser.add_argument("--batch-size", type=int, default=2 ** 6, metavar="N")
parser.add_argument("--dropout", type=float, default=0.1)
parser.add_argument("--optimizer", choices=["sgd", "adam"], default="adam")
parser.add_argument("--momentum", type=float, default=0.9)
parser.add_argument("--act", choices=NAMES, default=NAMES[0])
parser.add_argument("--norm", default="batch")
parser.add_argument("--amp", action="store_true")
parser.add_argument("--bias", action=argparse.BooleanOptionalAction, default=True)
parser.add_argument("--no-skip", action="store_false", dest="skip")
parser.add_argument("--lambda", type=float, default=0.1)
parser.add_argument("--epochs", type=int, default=10)
parser.add_argument("--seed", type=int, default=1)
parser.add_argument("--data-dir", default="data")
parser.add_argument("--workers", type=int, default=4)
parser.add_argument("--hidden", type=int, nargs="+", default=[64])
parser.add_argument("--flag", type=bool, default=True)
parser.add_argument("--width", type=int)
parser.add_argument("--clip", type=float, default=compute())
args = parser.parse_args()
if args.norm == "batch":
    pass
elif args.norm in ("layer", "none"):
    pass
for epoch in range(args.epochs):
    luthier.report(epoch, train_loss=1.0, val_loss=2.0, val_accuracy=0.5)
luthier.report(test_accuracy=0.5)
"""
)


def test_argparse(tmp_path: Path) -> None:
    made = drafted(tmp_path / "digits", ARGPARSE)
    space = made.spec.to_space()
    assert made.spec.name == "digits"
    assert made.spec.run == (
        "python train.py --lr {lr} --batch-size {batch_size} --dropout {dropout} --optimizer {optimizer} "
        "--momentum {momentum} --norm {norm} {amp:--amp} {bias:--bias|--no-bias} {no_skip:--no-skip} "
        "--lambda {lambda_} --seed {seed}"
    )
    assert space["lr"] == Float(1e-5, 0.1, log=True, default=1e-3, description="learning rate")
    assert space["batch_size"] == Int(16, 256, log=True, default=64)
    assert space["dropout"] == Float(0.0, 0.9, default=0.1)
    assert space["optimizer"] == Choice(("sgd", "adam"), default="adam")
    assert space["norm"] == Choice(("batch", "layer", "none"), default="batch")
    assert (space["amp"].default, space["bias"].default, space["no_skip"].default) == (False, True, False)
    assert (made.spec.metric.name, made.spec.metric.direction) == ("val_accuracy", Direction.MAXIMIZE)
    said = "\n".join(made.doubts)
    for word in (
        "--epochs",
        "--seed",
        "--data-dir",
        "--workers",
        "--hidden",
        "--flag",
        "--width",
        "--clip",
        "val_loss",
    ):
        assert word in said
    assert 'when: optimizer == "sgd"' in said
    assert "NAMES" not in said


def test_the_mnist_example_of_pytorch(tmp_path: Path) -> None:
    """Its options and prints: https://github.com/pytorch/examples/blob/main/mnist/main.py."""
    made = drafted(
        tmp_path / "mnist",
        NEVER
        + """
import argparse
print('Train Epoch: {} [{}/{} ({:.0f}%)]\\tLoss: {:.6f}'.format(1, 2, 3, 4, 5))
print('\\nTest set: Average loss: {:.4f}, Accuracy: {}/{} ({:.0f}%)\\n'.format(1, 2, 3, 4))
parser = argparse.ArgumentParser(description='PyTorch MNIST Example')
parser.add_argument('--batch-size', type=int, default=64, metavar='N')
parser.add_argument('--test-batch-size', type=int, default=1000, metavar='N')
parser.add_argument('--epochs', type=int, default=14, metavar='N')
parser.add_argument('--lr', type=float, default=1.0, metavar='LR')
parser.add_argument('--gamma', type=float, default=0.7, metavar='M')
parser.add_argument('--no-accel', action='store_true')
parser.add_argument('--dry-run', action='store_true')
parser.add_argument('--seed', type=int, default=1, metavar='S')
parser.add_argument('--log-interval', type=int, default=10, metavar='N')
parser.add_argument('--save-model', action='store_true')
""",
        "main.py",
    )
    assert made.spec.run == "python main.py --batch-size {batch_size} --lr {lr} --gamma {gamma} --seed {seed}"
    assert made.spec.to_space()["lr"] == Float(0.01, 10.0, log=True, default=1.0)
    assert made.spec.metric.name == "accuracy"
    assert "only test metrics" in "\n".join(made.doubts)


CLICK = (
    NEVER
    + """
import click
@click.command()
@click.argument("data")
@click.option("-l", "--lr", default=1e-3, show_default=True, help="Learning rate.")
@click.option("--dropout", type=click.FloatRange(0, 0.5), default=0.1)
@click.option("--optimizer", type=click.Choice(["sgd", "adam"]), default="adam")
@click.option("--amp/--no-amp", default=False)
@click.option("--nesterov", is_flag=True)
@click.option("--sizes", multiple=True, default=[1])
@click.option("--epochs", default=2 * 5)
def main(**kw):
    click.echo(f"Epoch {epoch}: val_acc={acc:.3f} val_loss={loss:.3f}")
"""
)


def test_click(tmp_path: Path) -> None:
    made = drafted(tmp_path, CLICK)
    assert made.spec.run == (
        "python train.py DATA --lr {lr} --dropout {dropout} --optimizer {optimizer} {amp:--amp|--no-amp} "
        "{nesterov:--nesterov}"
    )
    assert made.spec.to_space()["dropout"] == Float(0.0, 0.5, default=0.1)
    assert made.spec.metric.name == "val_acc"
    assert "put its value in place of DATA" in "\n".join(made.doubts)
    assert "--sizes" in "\n".join(made.doubts)


def test_a_click_group_is_called_with_its_command(tmp_path: Path) -> None:
    source = (
        "import click\n@click.group()\ndef cli(): ...\n"
        "@cli.command()\n@click.option('--lr', default=0.1)\ndef train_it(lr): ...\n"
    )
    assert drafted(tmp_path, source).spec.run == "python train.py train-it --lr {lr}"


TYPER = (
    NEVER
    + """
import enum
from typing import Annotated, Literal, Optional
import typer
app = typer.Typer()
class Opt(str, enum.Enum):
    sgd = "sgd"
    adam = "adam"
@app.command()
def train(
    corpus: str,
    lr: float = 1e-3,
    batch_size: Annotated[int, typer.Option("--bs", help="Images a step.", min=8, max=64)] = 32,
    optimizer: Opt = Opt.adam,
    act: Literal["relu", "gelu"] = "relu",
    bias: bool = True,
    dropout: float = typer.Option(0.1, "--drop", max=0.6),
    depth: Optional[int] = None,
    *,
    heads: int = 4,
    d_model: int = 128,
) -> None:
    print("val loss:", loss, "train loss:", other)
"""
)


def test_typer(tmp_path: Path) -> None:
    made = drafted(tmp_path, TYPER)
    space = made.spec.to_space()
    assert made.spec.run == (
        "python train.py CORPUS --lr {lr} --bs {batch_size} --optimizer {optimizer} --act {act} "
        "{bias:--bias|--no-bias} --drop {dropout} --heads {heads} --d-model {d_model}"
    )
    assert space["batch_size"] == Int(8, 64, log=True, default=32, description="Images a step")
    assert space["dropout"] == Float(0.0, 0.6, default=0.1)
    assert space["optimizer"] == Choice(("sgd", "adam"), default="adam")
    assert space["act"] == Choice(("relu", "gelu"), default="relu")
    assert made.spec.constraints == ["d_model % heads == 0"]
    assert (made.spec.metric.name, made.spec.metric.direction) == ("val_loss", Direction.MINIMIZE)
    assert "--depth" in "\n".join(made.doubts)


CONSTANTS = """
import sys
LR = 1e-3
BATCH_SIZE: int = 2 ** 6
OPTIMIZER = "adam"
EPOCHS = 10
SEED = 3
SIZES = [64, 64]
STEP = 0
best = 0.0
if OPTIMIZER in ("sgd", "adam"):
    STEP += 1
print("epoch %d: val accuracy = %.3f" % (STEP, LR * 100))
print(LR, BATCH_SIZE, OPTIMIZER, EPOCHS, sys.argv[1:])
"""


def test_plain_constants_run_unmodified(tmp_path: Path) -> None:
    made = drafted(tmp_path, CONSTANTS)
    assert made.spec.run == (
        "python -m luthier.trials.constants train.py LR={lr} BATCH_SIZE={batch_size} OPTIMIZER={optimizer} SEED={seed}"
    )
    assert made.spec.to_space()["batch_size"] == Int(16, 256, log=True, default=64)
    words = ["-m", "luthier.trials.constants", "train.py", "LR=0.5", "BATCH_SIZE=32", "OPTIMIZER=sgd", "--", "--x"]
    done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0.5 32 sgd 10 ['--x']"
    assert (tmp_path / "train.py").read_text() == CONSTANTS


def test_constants_that_are_not_there(tmp_path: Path) -> None:
    for name in ("RATE", "STEP"):
        with pytest.raises(SpecError, match=f"exactly once .* but {name} is"):
            with_constants("STEP = 1\nSTEP = 2\n", {name: "1"})
    done = subprocess.run(
        [sys.executable, "-m", "luthier.trials.constants", "none.py", "LR=1"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")


@given(
    st.floats(allow_nan=False, allow_infinity=False)
    | st.integers()
    | st.booleans()
    | st.from_regex(r"[a-z]+", fullmatch=True)
)
def test_constants_arrive_as_they_were(value: float | int | bool | str) -> None:
    scope: dict[str, object] = {}
    exec(with_constants("X = None", {"X": str(value)}), scope)
    assert (scope["X"], type(scope["X"])) == (value, type(value))


def test_the_configurator_of_nanogpt(tmp_path: Path) -> None:
    source = NEVER + (
        "learning_rate = 6e-4\nn_head = 12\nn_embd = 768\nbackend = 'nccl'\nout_dir = 'out'\nmax_iters = 600000\n"
        "exec(open('configurator.py').read())\niter_num = 0\n"
        "print(f\"step {iter_num}: train loss {losses['train']:.4f}, val loss {losses['val']:.4f}\")\n"
    )
    made = drafted(tmp_path, source)
    assert made.spec.run == "python train.py --learning_rate={learning_rate} --n_head={n_head} --n_embd={n_embd}"
    assert made.spec.metric.name == "val_loss"
    assert made.spec.constraints == ["n_embd % n_head == 0"]


def test_environment_variables(tmp_path: Path) -> None:
    source = NEVER + (
        "import os, json\nLR = float(os.environ.get('LR', 1e-3))\nH = int(os.getenv('HIDDEN', '64'))\n"
        "print(json.dumps({'val_loss': 1.0, 'epoch': 3}))\n"
    )
    made = drafted(tmp_path, source)
    assert made.spec.run == "python train.py"
    assert made.spec.env == {"LR": "{lr}", "HIDDEN": "{hidden}"}
    assert made.spec.metric.name == "val_loss"
    assert made.spec.patterns == {}


PRINTS = {
    'print(f"val_loss={x:.4f}")': ("val_loss", "val_loss=0.2500", "0.2500"),
    'print(f"Epoch {e}: val loss: {x:.4f}, acc: {a}")': ("val_loss", "Epoch 3: val loss: 0.25, acc: 1", "0.25"),
    'print("accuracy", x)': ("accuracy", "accuracy 0.97", "0.97"),
    'print("Val acc: {:.2f}%".format(x))': ("val_acc", "Val acc: 97.25%", "97.25"),
    'print("rmse = %.3e" % x)': ("rmse", "rmse = 1.250e-03", "1.250e-03"),
    'logger.info("step %d | valid loss %.3f", e, x)': ("valid_loss", "step 3 | valid loss nan", "nan"),
    'print(f"{acc=:.3f}")': ("acc", "acc=0.970", "0.970"),
}


@pytest.mark.parametrize("line", PRINTS)
def test_patterns_find_what_is_printed(tmp_path: Path, line: str) -> None:
    name, printed, number = PRINTS[line]
    made = drafted(tmp_path, f"LR = 0.1\nif False:\n    {line}\n")
    assert made.spec.metric.name == name
    found = re.search(made.spec.patterns[name], printed)
    assert found is not None
    assert found[1] == number


def test_only_training_or_test_metrics_are_doubted(tmp_path: Path) -> None:
    training = drafted(tmp_path / "a", NEVER + "import luthier\nLR = 0.1\nluthier.report(1, train_loss=2)\n")
    assert "only training metrics" in "\n".join(training.doubts)
    test = drafted(tmp_path / "b", NEVER + "import luthier\nLR = 0.1\nluthier.report(1, test_acc=2)\n")
    assert test.spec.metric.name == "val_acc"
    assert "report val_acc" in "\n".join(test.doubts)
    nothing = drafted(tmp_path / "c", NEVER + "LR = 0.1\n")
    assert "found no reported metric" in "\n".join(nothing.doubts)


def test_a_draft_elsewhere_still_finds_its_script(tmp_path: Path) -> None:
    (tmp_path / "my code").mkdir()
    (tmp_path / "my code" / "train.py").write_text("LR = 0.1\n")
    made = draft(tmp_path / "my code" / "train.py", tmp_path)
    (tmp_path / "study.yaml").write_text(made.yaml)
    assert load_spec(tmp_path / "study.yaml") == made.spec
    assert made.spec.run == "python -m luthier.trials.constants 'my code/train.py' LR={lr}"


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("print('hello')", "found no argparse, click or typer option"),
        ("def f(:", "line 1"),
        ("SEED = 1\nEPOCHS = 3\n", "SEED"),
        ("import argparse\nargparse.ArgumentParser().add_argument('--seed', type=int, default=1)", "--seed"),
        ("x = " + "(" * 5000, "must be"),
        ("a\0b", "but (it is not|cannot be read as one): .*null bytes"),
    ],
)
def test_nothing_to_draft(tmp_path: Path, source: str, message: str) -> None:
    (tmp_path / "train.py").write_text(source)
    with pytest.raises(SpecError, match=message):
        draft(tmp_path / "train.py")


@pytest.mark.parametrize("name", ["digits", "boosting", "predictor_tuning"])
def test_the_examples_tune_the_defaults_that_their_scripts_have(name: str) -> None:
    folder = Path(__file__).parents[1] / "examples" / name
    studied, read = load_spec(folder / "study.yaml").to_space(), draft(folder / "train.py").spec.to_space()
    assert studied.complete_default().items() <= read.complete_default().items()
    assert studied.default_is_complete


def test_no_script(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no file"):
        draft(tmp_path / "none.py")


NAMES = [
    "lr",
    "learning_rate",
    "weight_decay",
    "dropout",
    "batch_size",
    "hidden_dim",
    "n_layers",
    "num_heads",
    "momentum",
]
NAMES += [
    "beta1",
    "n_estimators",
    "max_depth",
    "min_samples_leaf",
    "C",
    "gamma",
    "warmup_steps",
    "something",
    "max_features",
]
DEFAULTS = st.none() | st.integers(-100, 10**6) | st.floats(-1e6, 1e6) | st.booleans() | st.just("text")
KINDS: st.SearchStrategy[Kind] = st.sampled_from(["float", "int", "str", "bool", "unknown"])


@given(
    st.sampled_from(NAMES),
    KINDS,
    DEFAULTS,
    st.none() | st.floats(-10, 10),
    st.none() | st.floats(-10, 10),
    st.booleans(),
)
def test_any_option_is_a_range_around_its_default_or_a_doubt(
    name: str, kind: Kind, default: float | str | None, low: float | None, high: float | None, required: bool
) -> None:
    parameter, doubt = suggest(
        Option(name, f"--{name}", kind, default, f"--{name} {{{name}}}", low=low, high=high, required=required)
    )
    assert parameter is not None or doubt
    if parameter is not None and default is not None:
        assert parameter.default == default
        assert parameter.contains(default)


@pytest.mark.parametrize(
    ("name", "setting", "cost"),
    [
        ("seed", True, False),
        ("randomState", True, False),
        ("DATA_DIR", True, False),
        ("test_batch_size", True, False),
        ("num_workers", True, False),
        ("epochs", False, True),
        ("max_steps", False, True),
        ("n_iter", False, True),
        ("warmup_steps", False, False),
        ("lora_rank", False, False),
        ("local_rank", True, False),
        ("min_samples_split", False, False),
        ("input_dropout", False, False),
        ("data_augmentation", False, False),
        ("lr", False, False),
    ],
)
def test_what_is_left_as_it_is(name: str, setting: bool, cost: bool) -> None:
    assert (is_setting(name), is_cost(name)) == (setting, cost)
