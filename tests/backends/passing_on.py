"""A workflow whose file goes from one node to the next through the artifact repository ``lake``."""

from __future__ import annotations

PASSES_ON = """
apiVersion: argoproj.io/v1alpha1
kind: Workflow
metadata: {name: passes}
spec:
  entrypoint: main
  artifactRepositoryRef: {key: lake}
  templates:
  - name: main
    steps:
    - - {name: make, template: make}
    - - {name: take, template: take, arguments: {artifacts: [{name: file, from: "{{steps.make.outputs.artifacts.file}}"}]}}
  - name: make
    script: {image: alpine, command: [sh], source: "echo made > /tmp/file"}
    outputs: {artifacts: [{name: file, path: /tmp/file, artifactGC: {strategy: Never}}]}
  - name: take
    inputs: {artifacts: [{name: file, path: /tmp/in}]}
    script: {image: alpine, command: [sh], source: "cat /tmp/in"}
    outputs: {parameters: [{name: seen, valueFrom: {path: /tmp/in}}]}
"""
