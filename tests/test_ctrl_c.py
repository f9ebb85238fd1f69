"""Ctrl-C ends a command, also where a library swallows the KeyboardInterrupt or makes another error of it."""

import contextlib
import os
import signal
from collections.abc import Callable, Iterator

import pytest
import typer

from luthier.ctrl_c import INTERRUPTED, stoppable

Check = Callable[[], None]


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    """Python's own, also where the tests run in the background and the shell ignores SIGINT for them."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    signal.signal(signal.SIGINT, before)


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def code_of(command: Callable[[Check], None]) -> int:
    """The exit code of a command that is stopped."""
    with pytest.raises(typer.Exit) as end:
        run(command)
    return end.value.exit_code


def run(command: Callable[[Check], None]) -> None:
    with stoppable("all is kept") as check:
        command(check)


def test_it_ends_at_once(capsys: pytest.CaptureFixture[str]) -> None:
    assert code_of(lambda check: press()) == INTERRUPTED
    assert capsys.readouterr().err == "\nstopped; all is kept\n"


def test_one_that_a_library_swallowed_ends_the_next_step() -> None:
    steps = list[str]()

    def command(check: Check) -> None:
        for step in ("first", "second", "third"):
            check()
            steps.append(step)
            if step == "second":
                with contextlib.suppress(KeyboardInterrupt):
                    press()

    assert (code_of(command), steps) == (INTERRUPTED, ["first", "second"])


def test_one_that_a_library_made_another_error_of() -> None:
    def command(check: Check) -> None:
        try:
            press()
        except KeyboardInterrupt:
            raise ValueError("not a valid PEP 3118 buffer format string") from None

    assert code_of(command) == INTERRUPTED


def test_other_errors_and_quiet_ends_are_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="a fault"), stoppable("all is kept"):
        raise ValueError("a fault")
    run(lambda check: check())
    assert capsys.readouterr().err == ""


def test_where_the_signal_is_ignored_it_stays_so() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with stoppable("all is kept") as check:
        press()
        check()
    assert signal.signal(signal.SIGINT, signal.default_int_handler) is signal.SIG_IGN
