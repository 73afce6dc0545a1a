"""Workflows with one of everything that has to survive, and a store that fails when it is told to."""

from __future__ import annotations

from collections.abc import Iterable

from flowcore.durable import Claim
from flowcore.errors import StoreError
from flowcore.jsontypes import JsonObject
from flowcore.nodes import Node, RunRow
from flowcore_backends.stores.sqlite import SqliteStore

EVERYTHING = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: all}
spec:
  entrypoint: main
  onExit: bye
  synchronization: {mutexes: [{name: whole}]}
  templates:
    - name: main
      steps:
        - - {name: loop, template: work, arguments: {parameters: [{name: text, value: "{{item}}"}]}, withItems: [1, 2, 3]}
        - - {name: again, template: flaky}
        - - {name: pause, template: pause}
        - - {name: graph, template: graph, hooks: {exit: {template: bye}}}
        - - {name: told, template: work, arguments: {parameters: [{name: text, value: "{{steps.graph.outputs.parameters.last}}"}]}}
    - name: graph
      outputs: {parameters: [{name: last, valueFrom: {parameter: "{{tasks.c.outputs.result}}"}}]}
      dag:
        tasks:
          - {name: a, template: work, arguments: {parameters: [{name: text, value: a}]}}
          - {name: b, template: locked, depends: a}
          - {name: c, template: work, depends: "a && b", arguments: {parameters: [{name: text, value: c}]}}
          - {name: d, template: work, depends: a.Failed, arguments: {parameters: [{name: text, value: d}]}}
          - {name: e, template: remembered, depends: b}
    - name: work
      inputs: {parameters: [{name: text}]}
      script: {image: any, command: [sh], source: "echo {{inputs.parameters.text}}"}
    - name: flaky
      retryStrategy: {limit: 3, backoff: {duration: 10s}}
      container: {image: any, command: [flaky]}
    - name: locked
      synchronization: {mutexes: [{name: one}]}
      container: {image: any, command: [locked]}
    - name: remembered
      memoize: {key: k, cache: {configMap: {name: cache}}}
      container: {image: any, command: [remembered]}
    - {name: pause, suspend: {duration: 1m}}
    - {name: bye, container: {image: any, command: [bye]}}
"""


class FailingStore(SqliteStore):
    """A store that saves so many times, and then fails: before it records (``lost``) or after it has recorded."""

    def __init__(self, saves: int, *, lost: bool) -> None:
        super().__init__(":memory:")
        self.saves, self.lost, self.failed = saves, lost, False

    async def claim(self, name: str, namespace: str) -> Claim:
        """A claim that fails when its store says so."""
        claim = await super().claim(name, namespace)
        save = claim.save

        async def failing(run: RunRow, nodes: Iterable[Node], manifest: JsonObject | None = None) -> None:
            self.saves -= 1
            if self.saves >= 0 or not self.lost or self.failed:
                await save(run, nodes, manifest)
            if self.saves < 0 and not self.failed:
                self.failed = True
                raise StoreError("the disk is full")

        claim.save = failing
        return claim
