"""The contract of executors, kept by the fake and by the local backend."""

from __future__ import annotations

import sys

import pytest

from flowcore.ports import Executor
from flowcore_backends.fake import FakeExecutor
from flowcore_backends.local import LocalExecutor
from tests.backends.contract import ExecutorContract, loop

__all__ = ["loop"]


class TestFake(ExecutorContract):
    stubborn_work = False

    def executor(self) -> Executor:
        fake = FakeExecutor()
        fake.when("fails").fails()
        fake.when("prints").returns("one\ntwo")
        fake.when("lasts").takes("300s")
        fake.when("serves").daemon()
        return fake


@pytest.mark.skipif(sys.platform == "win32", reason="the local backend needs a POSIX system")
class TestLocal(ExecutorContract):
    def executor(self) -> Executor:
        return LocalExecutor()


@pytest.mark.skipif(sys.platform == "win32", reason="the local backend needs a POSIX system")
class TestLocalWithoutViews(ExecutorContract):
    def executor(self) -> Executor:
        return LocalExecutor(isolation="off")
