"""The pytest plugin as its users meet it: what passes, how failures read, snapshots, lint, and beside other plugins."""

from __future__ import annotations

from pathlib import Path

import pytest

# Imported once: pytester forgets after each run what that run imported first.
import flowcore.testing.linting
import flowcore.testing.snapshots  # noqa: F401 - see above
import flowcore_backends.fake  # noqa: F401 - see above

pytest_plugins = ["pytester"]

SEED = Path(__file__).resolve().parents[1] / "seeds" / "000-00-exit-handlers.yaml"
QUIET = ("-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-o", "asyncio_default_fixture_loop_scope=function")

EXIT_HANDLER_TESTS = """\
import pytest


@pytest.fixture
def exits(flow):
    return flow.load("exits.yaml")


def test_success(exits):
    exits.run().succeeded().ran("intentional-fail", "celebrate").did_not_run("cry")


def test_failure(exits):
    exits.when("intentional-fail").fails(exit_code=3)
    exits.run().failed("exit code 3").ran("intentional-fail", "cry").did_not_run("celebrate")


def test_error(exits):
    exits.when("intentional-fail").errors("node lost")
    assert "Error" in exits.run().errored("node lost").node("notify").command[-1]
"""

LOOSE = """\
kind: Workflow
metadata: {generateName: loose-}
spec:
  entrypoint: main
  templates:
    - name: main
      steps:
        - - {name: flip, template: flip-coin}
        - - {name: wait, template: wait}
        - - {name: deploy, template: deploy, when: "{{steps.flip.outputs.result}} == heads"}
    - name: flip-coin
      script: {image: python, command: [python], source: "print('heads')"}
    - {name: wait, suspend: {duration: "864000"}}
    - name: deploy
      retryStrategy: {limit: 3, backoff: {duration: "24h"}}
      container: {image: alpine, command: [deploy]}
"""


@pytest.fixture
def play(pytester: pytest.Pytester) -> pytest.Pytester:
    """A folder with two workflows."""
    pytester.path.joinpath("exits.yaml").write_text(SEED.read_text())
    pytester.path.joinpath("loose.yaml").write_text(LOOSE)
    return pytester


def test_the_exit_handlers_of_a_seed_in_twenty_lines(play: pytest.Pytester) -> None:
    play.makepyfile(EXIT_HANDLER_TESTS)
    play.runpytest_inprocess(*QUIET).assert_outcomes(passed=3)
    assert len([line for line in EXIT_HANDLER_TESTS.splitlines() if line]) <= 20


def test_long_waits_take_no_time(play: pytest.Pytester) -> None:
    play.makepyfile(
        """
        from datetime import timedelta

        def test_it(flow):
            flow.when("flip-coin").returns("heads")
            flow.when("deploy").fails(times=2).succeeds()
            result = flow.load("loose.yaml").run().succeeded()
            assert len(result.attempts("deploy")) == 3
            assert result.node("main.wait").duration == timedelta(days=10)
            assert result.duration == timedelta(days=12)
            assert result.order == ["flip", "wait", "deploy(0)", "deploy(1)", "deploy(2)"]
        """
    )
    play.runpytest_inprocess(*QUIET).assert_outcomes(passed=1)


def test_a_failing_test_draws_the_tree_and_says_what_would_have_fitted(play: pytest.Pytester) -> None:
    play.makepyfile(
        """
        def test_it(flow):
            flow.load("exits.yaml").when("intentional-fial").fails()
            assert flow.run().phase == "Failed"
        """
    )
    told = play.runpytest_inprocess(*QUIET)
    told.stdout.fnmatch_lines(
        [
            "*flow: what happened*",
            "exit-handlers-*: Succeeded",
            "*✔ exit-handlers-*intentional-fail*",
            "*└─┬─✔ notify*send-email*",
            "flow.when('intentional-fial') fitted nothing; did you mean 'intentional-fail'?*",
        ]
    )


def test_a_failing_check_shows_the_test_and_the_tree_once(play: pytest.Pytester) -> None:
    play.makepyfile('def test_it(flow):\n    flow.load("exits.yaml").run().failed()\n')
    told = play.runpytest_inprocess(*QUIET)
    told.stdout.fnmatch_lines(["E*the run ended Succeeded, not Failed", "E*✔ notify*"])
    assert str(told.stdout).split("short test summary")[0].count("✔ notify") == 1
    assert "checks.py" not in str(told.stdout).split("short test summary")[0].replace("checks.py:", "")


def test_what_is_used_and_not_scripted_is_an_error_that_shows_the_line(play: pytest.Pytester) -> None:
    play.makepyfile('def test_it(flow):\n    flow.load("loose.yaml").run()\n')
    play.runpytest_inprocess(*QUIET).stdout.fnmatch_lines(["E*uses what nobody scripted; write", "E*flow.when('flip-coin').returns(...)"])


def test_a_run_that_waits_for_nobody_says_which_line_is_missing(play: pytest.Pytester) -> None:
    play.path.joinpath("approve.yaml").write_text(
        "{kind: Workflow, metadata: {name: a}, spec: {entrypoint: m, templates: [{name: m, suspend: {}}]}}"
    )
    play.makepyfile('def test_it(flow):\n    flow.load("approve.yaml").run()\n')
    play.runpytest_inprocess(*QUIET).stdout.fnmatch_lines(["E*nobody can resume it*flow.when(...).resumes()*"])


def test_a_name_that_is_none_says_what_was_meant(play: pytest.Pytester) -> None:
    play.makepyfile('def test_it(flow):\n    flow.load("exits.yaml").run().node("celebrat")\n')
    play.runpytest_inprocess(*QUIET).stdout.fnmatch_lines(["E*no node is called 'celebrat'; did you mean 'celebrate'?"])


def test_snapshots_are_kept_compared_and_kept_anew(play: pytest.Pytester) -> None:
    play.makepyfile(test_it='def test_it(flow):\n    flow.load("exits.yaml").run().matches_snapshot()\n')
    play.runpytest_inprocess(*QUIET).stdout.fnmatch_lines(["*no snapshot *test_it.txt yet; pytest --flowcore-update*"])
    play.runpytest_inprocess(*QUIET, "--flowcore-update").assert_outcomes(passed=1)
    play.runpytest_inprocess(*QUIET).assert_outcomes(passed=1)
    kept = play.path / "__snapshots__" / "test_it" / "test_it.txt"
    kept.write_text(kept.read_text().replace("celebrate", "mourn"))
    play.runpytest_inprocess(*QUIET).stdout.fnmatch_lines(["E*-*mourn*", "E*+*celebrate*"])


def test_lint_collects_the_documents_of_argo(play: pytest.Pytester) -> None:
    head = "apiVersion: argoproj.io/v1alpha1\nkind: {kind}\nmetadata: {{name: shared}}\nspec:\n"
    call = "  entrypoint: m\n  templates:\n  - name: m\n    steps: [[{name: a, templateRef: {name: shared, template: REF}}]]\n"
    leaf = "  templates:\n  - {name: work, container: {image: alpine, command: [x]}}\n"
    play.path.joinpath("shared.yml").write_text(head.format(kind="WorkflowTemplate") + leaf)
    play.path.joinpath("good.yaml").write_text(head.format(kind="Workflow") + call.replace("REF", "work"))
    play.path.joinpath("bad.yaml").write_text(head.format(kind="Workflow") + call.replace("REF", "wrok"))
    play.path.joinpath("compose.yaml").write_text("services: {}\n")
    told = play.runpytest_inprocess(*QUIET, "--flowcore-lint")
    told.assert_outcomes(passed=3, failed=1)
    told.stdout.fnmatch_lines(["*bad.yaml:8*template*wrok*"])
    play.runpytest_inprocess(*QUIET).assert_outcomes()


@pytest.mark.parametrize("marks", ["", "@pytest.mark.asyncio\n", "@pytest.mark.anyio\n"])
def test_beside_plugins_for_async_tests(play: pytest.Pytester, marks: str) -> None:
    word = "async def" if marks else "def"
    play.makepyfile(
        f"""
import pytest

@pytest.fixture
def anyio_backend():
    return "trio"

{marks}{word} test_blocking(flow):
    flow.load("exits.yaml").run().succeeded()
"""
        + (f"\n{marks}async def test_waiting(flow):\n    (await flow.load('exits.yaml').run_async()).succeeded()\n" if marks else "")
    )
    play.runpytest_inprocess(*QUIET, "-o", "asyncio_mode=strict").assert_outcomes(passed=2 if marks else 1)


def test_without_plugins_for_async_tests(play: pytest.Pytester) -> None:
    play.makepyfile(EXIT_HANDLER_TESTS)
    play.runpytest_inprocess(
        "-q", "-p", "no:cacheprovider", "-p", "no:hypothesispytest", "-p", "no:asyncio", "-p", "no:anyio", "-p", "no:xdist"
    ).assert_outcomes(passed=3)


@pytest.mark.slow
def test_with_xdist_the_story_comes_along(play: pytest.Pytester) -> None:
    pytest.importorskip("xdist")
    play.makepyfile('def test_it(flow):\n    assert flow.load("exits.yaml").run().phase == "Failed"\n')
    play.runpytest_subprocess(*QUIET, "-n", "1").stdout.fnmatch_lines(["*flow: what happened*", "*✔ notify*"])


def test_a_run_can_be_steered(play: pytest.Pytester) -> None:
    play.makepyfile(
        """
        import anyio

        def test_it(flow):
            flow.load("loose.yaml").when("flip-coin").hangs()

            async def steer():
                async with flow.open() as run:
                    await run.stop()
                return await run.result()

            assert anyio.run(steer).message == "Stopped with strategy 'Stop'"
        """
    )
    play.runpytest_inprocess(*QUIET).assert_outcomes(passed=1)
