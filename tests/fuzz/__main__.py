"""``python -m tests.fuzz SECONDS [TARGET...]``: tries mutations on each target for so long, and prints what should not have happened."""

from __future__ import annotations

import signal
import sys
import time
import traceback
from random import Random, SystemRandom
from types import FrameType

from tests.fuzz.mutations import archive, mutated, texts
from tests.fuzz.targets import TEXTS, feed

# What one input may take: of the processor, and of time, which passes faster on a busy machine.
_SECONDS_OF_WORK, _SECONDS_IN_ALL = 10, 300


class Hang(BaseException):
    """A target took too long."""


def _give_up(number: int, frame: FrameType | None) -> None:
    raise Hang


def main(arguments: list[str]) -> int:
    """Try all targets, or those that are named; 1 if something was found."""
    seconds, names = float(arguments[0]), arguments[1:] or [*TEXTS, "archives"]
    signal.signal(signal.SIGPROF, _give_up)
    signal.signal(signal.SIGALRM, _give_up)
    found = 0
    for name in names:
        tried, slowest, until = 0, 0.0, time.monotonic() + seconds
        while time.monotonic() < until:
            chance = Random(SystemRandom().getrandbits(64))
            given: bytes | str = archive(chance) if name == "archives" else mutated(chance.choice(texts(name)), chance)
            began = time.process_time()
            signal.setitimer(signal.ITIMER_PROF, _SECONDS_OF_WORK)
            signal.alarm(_SECONDS_IN_ALL)
            try:
                feed(name, given)
            except (Exception, Hang) as error:  # noqa: BLE001 - whatever comes is what is looked for
                found += 1
                print(f"{name}: {type(error).__name__}: {error}\n{traceback.format_exc(limit=-3)}{given[:3000]!r}\n", flush=True)
            finally:
                signal.setitimer(signal.ITIMER_PROF, 0)
                signal.alarm(0)
            tried, slowest = tried + 1, max(slowest, time.process_time() - began)
        print(f"{name}: {tried} tried, the slowest took {slowest:.2f} s of the processor", flush=True)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
