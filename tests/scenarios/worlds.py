"""What the world answers to each seed and each example on the fake backend: the same as the processes answer on the local one."""

from __future__ import annotations

import json
from collections.abc import Callable

from flowcore_backends.fake import FakeExecutor

World = Callable[[FakeExecutor], object]


def say_nothing(fake: FakeExecutor) -> None:
    """Everything succeeds."""


def two_tails_then_heads(fake: FakeExecutor) -> None:
    fake.when("flip-coin").returns("tails", "tails", "heads")


def heads(fake: FakeExecutor) -> None:
    fake.when("flip-coin").returns("heads")


def intentional_failure(fake: FakeExecutor) -> None:
    fake.when("intentional-fail").fails(1)


def third_attempt_works(fake: FakeExecutor) -> None:
    fake.when("retry-backoff").fails(1, times=2).succeeds()


def influx(fake: FakeExecutor) -> None:
    fake.when("influxdb").daemon(ready_after="3s", pod_ip="10.0.0.1")


SEEDS: dict[str, World] = {
    "000-00-exit-handlers": intentional_failure,
    "000-01-retry-backoff": third_attempt_works,
    "001-00-exit-handler-example": say_nothing,
    "002-00-exit-handlers": intentional_failure,
    "002-01-lifecycle-hook": lambda fake: fake.when("heads").takes("2s"),
    "002-02-lifecycle-hook-tmpl-level": lambda fake: fake.when("echo").takes("2s"),
    "002-03-lifecycle-hook-exit": say_nothing,
    "003-02-hello-world": say_nothing,
    "003-03-hello-world-parameters": say_nothing,
    "003-04-global-parameters": say_nothing,
    "003-05-steps": say_nothing,
    "003-06-dag-diamond": say_nothing,
    "003-07-artifact-passing": say_nothing,
    "003-08-secret-example": say_nothing,
    "003-09-scripts-bash": lambda fake: fake.when("gen-random-int-bash").returns("57"),
    "003-10-output-parameter": lambda fake: fake.when("whalesay").outputs(parameters={"hello-param": "hello world"}),
    "003-11-loops": say_nothing,
    "003-12-loops-maps": say_nothing,
    "003-13-loops-param-arg": say_nothing,
    "003-14-loops-param-result": lambda fake: fake.when("gen-number-list").returns(json.dumps(list(range(20, 31)))),
    "003-15-coinflip": heads,
    "003-16-coinflip-recursive": two_tails_then_heads,
    "003-17-exit-handlers": intentional_failure,
    "003-18-timeouts": lambda fake: fake.when("sleep").takes("60s"),
    "003-19-volumes-pvc": say_nothing,
    "003-20-volumes-existing": say_nothing,
    "003-21-daemon-step": influx,
    "003-22-sidecar-nginx": say_nothing,
    "003-23-hardwired-artifact": say_nothing,
    "003-24-k8s-jobs": say_nothing,
    "003-25-k8s-patch": say_nothing,
}


# --- examples ---------------------------------------------------------------------------------------------------------------------


def scripts(fake: FakeExecutor) -> None:
    fake.when("by-shell").returns("6")
    fake.when("by-python").returns("6")


def output_parameters(fake: FakeExecutor) -> None:
    fake.when("survey").outputs(parameters={"height": "1742"})
    fake.when("report").returns("1742 m, nothing to remark")


def loop_result(fake: FakeExecutor) -> None:
    fake.when("numbers").returns("[1, 2, 3, 4]")
    fake.when("square").runs(lambda number: str(int(number) ** 2))


def recursion(fake: FakeExecutor) -> None:
    fake.when("subtract").runs(lambda number: str(int(number) - 1))


def hooks(fake: FakeExecutor) -> None:
    fake.when(template="work").takes("200ms")
    fake.when(template="dig").takes("200ms")


def retry(fake: FakeExecutor) -> None:
    fake.when("flaky").fails(1, times=2).succeeds()


def daemon(fake: FakeExecutor) -> None:
    fake.when("server").daemon(ready_after="1s", pod_ip="127.0.0.1")
    fake.when("ask").returns("good day")


def failing(fake: FakeExecutor) -> None:
    fake.when(template="fail").fails(1)


EXAMPLES: dict[str, World] = {
    "hello": say_nothing,
    "parameters": say_nothing,
    "global-parameters": say_nothing,
    "steps": say_nothing,
    "diamond": say_nothing,
    "artifacts": say_nothing,
    "raw-artifact": say_nothing,
    "secrets": say_nothing,
    "scripts-and-results": scripts,
    "output-parameters": output_parameters,
    "loop-items": say_nothing,
    "loop-maps": say_nothing,
    "loop-parameter": say_nothing,
    "loop-result": loop_result,
    "loop-sequence": say_nothing,
    "conditionals": lambda fake: fake.when("scales").returns("1200"),
    "recursion": recursion,
    "exit-handler": lambda fake: fake.when("fail-on-purpose").fails(3),
    "step-exit-handler": lambda fake: fake.when("borrow").outputs(parameters={"title": "a book"}),
    "workflow-hooks": hooks,
    "step-hooks": hooks,
    "retry-backoff": retry,
    "release": lambda fake: fake.when(template="test").fails(1, times=1).succeeds(),
    "timeout": lambda fake: fake.when("slow").takes("60s"),
    "volumes": say_nothing,
    "init-container": say_nothing,
    "daemon": daemon,
    "sidecar": say_nothing,
    "http-request": daemon,
    "template-ref": say_nothing,
    "continue-on": failing,
    "suspend": say_nothing,
    "resource": say_nothing,
}
