"""From the tree of a jq program to steps of the machine: expressions, calls and definitions. Called by ``jq``."""

from __future__ import annotations

from collections.abc import Callable

from flowcore.errors import ExpressionError
from flowcore.language.jq import control, nodes, steps
from flowcore.language.jq.machine import Step
from flowcore.language.jq.natives import NATIVES
from flowcore.language.jq.prelude import prelude_definition
from flowcore.language.jq.scope import Function, Scope
from flowcore.language.jq.values import OPERATORS, negate

_FORMATS = {
    "text": "tostring",
    "json": "tojson",
    "html": "_tohtml",
    "uri": "_touri",
    "urid": "_tourid",
    "csv": "_tocsv",
    "tsv": "_totsv",
    "sh": "_tosh",
    "base64": "_tobase64",
    "base64d": "_tobase64d",
}
_REFUSED = {("input", 0): "input(s)/0 is not allowed", ("inputs", 0): "input(s)/0 is not allowed"}
_GLOBAL = Scope()


class Compiler:
    """Compiles one program; functions of the prelude are compiled when they are first met."""

    def __init__(self) -> None:
        self._prelude: dict[tuple[str, int], Function] = {}

    def program(self, node: nodes.Node) -> Step:
        """The first step of a program; raises ExpressionError(stage="compile") for names that nothing defines."""
        return self._step(node, _GLOBAL)

    def _step(self, node: nodes.Node, scope: Scope) -> Step:
        by_kind: Callable[[nodes.Node, Scope], Step] = getattr(self, f"_{type(node).__name__.lower()}")
        return by_kind(node, scope)

    # The methods below are called by the names of the nodes' classes.

    # -- plain expressions --------------------------------------------------------------------------------------------------------

    def _identity(self, _node: nodes.Identity, _scope: Scope) -> Step:
        return steps.identity

    def _constant(self, node: nodes.Constant, _scope: Scope) -> Step:
        return steps.constant(node.value)

    def _pipe(self, node: nodes.Pipe, scope: Scope) -> Step:
        stages: list[nodes.Node] = []
        rest: nodes.Node = node
        while isinstance(rest, nodes.Pipe):
            stages.append(rest.left)
            rest = rest.right
        step = self._step(rest, scope)
        for stage in reversed(stages):
            step = steps.pipe(self._step(stage, scope), step)
        return step

    def _comma(self, node: nodes.Comma, scope: Scope) -> Step:
        return steps.comma(self._step(node.left, scope), self._step(node.right, scope))

    def _index(self, node: nodes.Index, scope: Scope) -> Step:
        base = self._step(node.base, scope)
        if isinstance(node.key, nodes.Constant):
            return steps.pipe(base, steps.index_by(node.key.value))
        return steps.index(base, self._step(node.key, scope))

    def _slice(self, node: nodes.Slice, scope: Scope) -> Step:
        begin = self._step(node.begin or nodes.Constant(None), scope)
        return steps.slice_of(self._step(node.base, scope), begin, self._step(node.end or nodes.Constant(None), scope))

    def _iterate(self, node: nodes.Iterate, scope: Scope) -> Step:
        return steps.pipe(self._step(node.base, scope), steps.iterate)

    def _unary(self, node: nodes.Unary, scope: Scope) -> Step:
        operand = self._step(node.operand, scope)
        return steps.pipe(operand, steps.native(negate if node.operator == "-" else NATIVES["_plus", 0]))

    def _binary(self, node: nodes.Binary, scope: Scope) -> Step:
        operator = node.operator
        if operator in ("and", "or"):
            return self._logical(node, scope)
        if operator == "//":
            return control.alternatives(self._step(node.left, scope), self._step(node.right, scope))
        if operator == "=":
            keys = nodes.written_keys(node.left)
            if keys is not None:
                return steps.set_at(keys, self._step(node.right, scope))
            return control.assign(self._step(node.left, scope), self._step(node.right, scope))
        if operator == "|=":
            return control.modify(self._step(node.left, scope), self._step(node.right, scope))
        if operator in OPERATORS:
            return steps.operator(OPERATORS[operator], self._step(node.left, scope), self._step(node.right, scope))
        return self._update(node, scope)

    def _logical(self, node: nodes.Binary, scope: Scope) -> Step:
        right = control.condition(self._step(node.right, scope), steps.constant(True), steps.constant(False))
        left = self._step(node.left, scope)
        if node.operator == "and":
            return control.condition(left, right, steps.constant(False))
        return control.condition(left, steps.constant(True), right)

    def _update(self, node: nodes.Binary, scope: Scope) -> Step:
        """``path op= value``: the value is computed from the input, once for each of its results."""
        inner = scope.with_cell("variable", "$ value")
        compute = steps.operator(OPERATORS[node.operator[:-1]], steps.identity, steps.variable(0))
        body = control.modify(self._step(node.left, inner), compute)
        return control.bind(self._step(node.right, scope), body)

    def _listof(self, node: nodes.ListOf, scope: Scope) -> Step:
        return steps.empty_list if node.body is None else control.collect(self._step(node.body, scope))

    def _objectof(self, node: nodes.ObjectOf, scope: Scope) -> Step:
        if not node.members:
            return steps.empty_object
        members = [(self._step(key, scope), None if value is None else self._step(value, scope)) for key, value in node.members]
        return steps.object_of(members)

    def _text(self, node: nodes.Text, scope: Scope) -> Step:
        shape = self._format(nodes.Format(node.format or "text"), scope)
        parts = [steps.constant(part) if isinstance(part, str) else steps.pipe(self._step(part, scope), shape) for part in node.parts]
        return steps.text_of(parts)

    def _format(self, node: nodes.Format, scope: Scope) -> Step:
        name = _FORMATS.get(node.name)
        if name is None:
            return self._step(nodes.Call("format", (nodes.Constant(node.name),)), scope)
        return self._call(nodes.Call(name), scope)

    # -- control ------------------------------------------------------------------------------------------------------------------

    def _if(self, node: nodes.If, scope: Scope) -> Step:
        otherwise = steps.identity if node.otherwise is None else self._step(node.otherwise, scope)
        return control.condition(self._step(node.condition, scope), self._step(node.consequence, scope), otherwise)

    def _try(self, node: nodes.Try, scope: Scope) -> Step:
        if node == nodes.Try(nodes.Iterate(nodes.Identity())):
            return steps.iterate_quietly
        catch = None if node.handler is None else self._step(node.handler, scope)
        return control.attempt(self._step(node.body, scope), catch)

    def _reduce(self, node: nodes.Reduce, scope: Scope) -> Step:
        inner = scope.with_cell("", "")
        update = self._destructure(node.pattern, inner, lambda bound: control.reduce_update(self._step(node.update, bound)))
        return control.reduce(self._step(node.source, scope), self._step(node.start, scope), update)

    def _foreach(self, node: nodes.Foreach, scope: Scope) -> Step:
        def body(bound: Scope) -> Step:
            extract = steps.identity if node.extract is None else self._step(node.extract, bound)
            return control.foreach_update(self._step(node.update, bound), extract)

        update = self._destructure(node.pattern, scope.with_cell("", ""), body)
        return control.foreach(self._step(node.source, scope), self._step(node.start, scope), update)

    def _label(self, node: nodes.Label, scope: Scope) -> Step:
        return control.labelled(self._step(node.body, scope.with_cell("label", node.name)))

    def _break(self, node: nodes.Break, scope: Scope) -> Step:
        found = scope.find("label", node.name)
        if found is None:
            raise ExpressionError(f"label not defined: {node.name}", stage="compile")
        return control.break_to(scope.depth - found.depth)

    # -- variables and patterns ---------------------------------------------------------------------------------------------------

    def _variable(self, node: nodes.Variable, scope: Scope) -> Step:
        found = scope.find("variable", node.name)
        if found is not None:
            return steps.variable(scope.depth - found.depth)
        if node.name == "$ENV":
            return steps.empty_object
        raise ExpressionError(f"variable not defined: {node.name}", stage="compile")

    def _bind(self, node: nodes.Bind, scope: Scope) -> Step:
        names = {name for pattern in node.patterns for name in _pattern_names(pattern)}
        step: Step | None = None
        for pattern in reversed(node.patterns):
            missing = sorted(names - set(_pattern_names(pattern)))
            inner = scope
            for name in missing:
                inner = inner.with_cell("variable", name)
            attempt = self._destructure(pattern, inner.with_cell("", ""), lambda bound: self._step(node.body, bound))
            attempt = control.with_nulls(len(missing), attempt)
            step = attempt if step is None else control.first_pattern(attempt, step)
        assert step is not None
        return control.bind(self._step(node.source, scope), step)

    def _destructure(self, pattern: nodes.Pattern, scope: Scope, body: Callable[[Scope], Step]) -> Step:
        """Take the innermost cell apart, a cell for each part, then go on with the body."""
        if pattern.name:
            return body(scope.named(pattern.name))
        if pattern.items:
            return self._items(pattern.items, 0, scope, scope.depth, body)
        return self._members(pattern.members, scope, scope.depth, body)

    def _items(self, items: tuple[nodes.Pattern, ...], at: int, scope: Scope, depth: int, body: Callable[[Scope], Step]) -> Step:
        if at == len(items):
            return body(scope)
        rest = self._destructure(items[at], scope.with_cell("", ""), lambda bound: self._items(items, at + 1, bound, depth, body))
        return control.take_item(scope.depth - depth, at, rest)

    def _members(
        self,
        members: tuple[tuple[nodes.Node, str, nodes.Pattern | None], ...],
        scope: Scope,
        depth: int,
        body: Callable[[Scope], Step],
    ) -> Step:
        if not members:
            return body(scope)
        (key, name, pattern), *others = members
        inner = scope.with_cell("variable", name) if name else scope.with_cell("", "")

        def further(bound: Scope) -> Step:
            return self._members(tuple(others), bound, depth, body)

        rest = further(inner) if pattern is None else self._destructure(pattern, inner, further)
        return control.take_member(scope.depth - depth, self._step(key, scope), rest)

    # -- functions ----------------------------------------------------------------------------------------------------------------

    def _define(self, node: nodes.Define, scope: Scope) -> Step:
        function = Function(node.name, node.parameters, scope.depth)
        inner = scope.with_function(function)
        self._compile_function(function, node.definition, inner)
        return self._step(node.body, inner)

    def _compile_function(self, function: Function, definition: nodes.Node, scope: Scope) -> None:
        """Within a function each parameter is a cell; one with a sign is a variable besides, computed when the function is called."""
        for parameter in function.parameters:
            scope = scope.with_cell("parameter", parameter.removeprefix("$"))
        variables = [(position, name) for position, name in enumerate(function.parameters) if name.startswith("$")]
        outer = scope
        for _, name in variables:
            scope = scope.with_cell("variable", name)
        step = self._step(definition, scope)
        for computed, (position, _) in reversed(list(enumerate(variables))):
            distance = outer.depth + computed - (function.depth + position + 1)
            step = control.bind(steps.parameter(distance), step)
        function.step = step

    def _call(self, node: nodes.Call, scope: Scope) -> Step:
        arity = len(node.arguments)
        found = scope.find("call", node.name, arity)
        if found is not None and found.kind == "parameter":
            return steps.parameter(scope.depth - found.depth)
        arguments = tuple(self._argument(argument, scope) for argument in node.arguments)
        if found is not None and found.function is not None:
            return steps.call(found.function, scope.depth - found.function.depth, arguments)
        return self._builtin(node, scope, arguments)

    def _argument(self, node: nodes.Node, scope: Scope) -> Step | int:
        """An argument's step; a bare parameter is handed on as it is, so that recursion does not pile up."""
        if isinstance(node, nodes.Call) and not node.arguments:
            found = scope.find("call", node.name)
            if found is not None and found.kind == "parameter":
                return scope.depth - found.depth
        return self._step(node, scope)

    def _builtin(self, node: nodes.Call, scope: Scope, arguments: tuple[Step | int, ...]) -> Step:
        key = (node.name, len(arguments))
        if key in _REFUSED:
            raise ExpressionError(_REFUSED[key], stage="compile")
        special = control.SPECIAL.get(key)
        if special is not None:
            return special(*(self._step(argument, scope) for argument in node.arguments))
        function = self._prelude_function(key)
        if function is not None:
            return steps.call(function, scope.depth, arguments)
        native = NATIVES.get(key)
        if native is None:
            raise ExpressionError(f"function not defined: {node.name}/{len(arguments)}", stage="compile")
        return steps.native_call(native, [self._step(argument, scope) for argument in node.arguments])

    def _prelude_function(self, key: tuple[str, int]) -> Function | None:
        if key in self._prelude:
            return self._prelude[key]
        found = prelude_definition(key)
        if found is None:
            return None
        parameters, definition = found
        function = self._prelude[key] = Function(key[0], parameters, 0)
        self._compile_function(function, definition, _GLOBAL.with_function(function))
        return function


def _pattern_names(pattern: nodes.Pattern) -> list[str]:
    names = [pattern.name] if pattern.name else []
    for item in pattern.items:
        names += _pattern_names(item)
    for _, name, inner in pattern.members:
        names += [name] if name else []
        names += _pattern_names(inner) if inner is not None else []
    return names
