from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading

import pytest

from bertwright.training.signals import StopWish, stop_wishes

SIGNALS = [signal.SIGINT, signal.SIGTERM]


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in SIGNALS]


@pytest.mark.parametrize("number", SIGNALS)
def test_the_first_signal_is_a_wish(number: signal.Signals) -> None:
    before = handlers()
    with stop_wishes() as wish:
        assert handlers() != before
        os.kill(os.getpid(), number)
        assert wish.signal_number == number
        assert handlers() == before  # so that the second one does what it always did
    assert handlers() == before


def test_without_a_signal_all_is_as_before() -> None:
    before = handlers()
    with stop_wishes() as wish:
        pass
    assert wish.signal_number is None
    assert handlers() == before


def test_an_error_inside_puts_the_handlers_back() -> None:
    before = handlers()
    with pytest.raises(ZeroDivisionError), stop_wishes():
        raise ZeroDivisionError
    assert handlers() == before


def test_a_second_ctrl_c_interrupts() -> None:
    # A process that a shell started in the background ignores Ctrl-C; here it is what it is in a terminal.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with stop_wishes() as wish:
            os.kill(os.getpid(), signal.SIGTERM)
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
            assert wish.signal_number == signal.SIGTERM
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_sigterm_ends_the_process() -> None:
    code = """
import os, signal
from bertwright.training.signals import stop_wishes
with stop_wishes() as wish:
    os.kill(os.getpid(), signal.SIGTERM)
    print(wish.signal_number, flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    print("still there", flush=True)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (-signal.SIGTERM, "15\n"), result.stderr


def test_outside_the_main_thread_no_wish_comes() -> None:
    before = handlers()
    found: list[StopWish] = []

    def work() -> None:
        with stop_wishes() as wish:
            found.append(wish)
            assert handlers() == before

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found[0].signal_number is None


def test_a_launcher_may_say_it_twice() -> None:
    """A scheduler signals every process of a job, and torchrun passes on what it heard: that is one wish."""
    code = """
import os, signal
from bertwright.training.signals import stop_wishes
with stop_wishes(launched=True) as wish:
    for number in (signal.SIGTERM, signal.SIGTERM, signal.SIGINT):
        os.kill(os.getpid(), number)
    print(wish.signal_number, flush=True)
os.kill(os.getpid(), signal.SIGTERM)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (result.returncode, result.stdout) == (-signal.SIGTERM, "15\n"), result.stderr
