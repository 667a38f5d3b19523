"""Finds in the sources which programs of others are called; no tests in here.

Every call of the gate for external commands is looked at. A call whose program can not be told from the
source is an error: then either it is written more plainly, or this is taught its form.
"""

import ast
import importlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
GATE = {"partitioning.command", "partitioning.tool_path"}
CALLS = {"run", "running", "require", "available"}
_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


class Unclear(Exception):
    """It can not be told which program is called."""


@dataclass(frozen=True)
class Module:
    """A module of ours: its name, and its source."""

    name: str
    tree: ast.Module

    def calls(self) -> Iterator[tuple[ast.Call, ast.AST]]:
        """Yield each call of the gate, with the function that it stands in."""
        names = self._imported()
        for function in (node for node in ast.walk(self.tree) if isinstance(node, _FUNCTIONS)):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in names:
                    yield node, function

    def _imported(self) -> set[str]:
        imports = (node for node in ast.walk(self.tree) if isinstance(node, ast.ImportFrom))
        return {each.name for node in imports if node.module in GATE for each in node.names} & CALLS

    def heads(self, node: ast.AST, scope: ast.AST) -> set[str]:
        """Give the programs that a word, or a list of words that begins with it, may be."""
        match node:
            case ast.Constant(value=str(word)):
                return {word}
            case ast.List(elts=[first, *rest]) | ast.Tuple(elts=[first, *rest]):
                return self._head_of_words(first, rest, scope)
            case ast.BinOp(left=left):
                return self.heads(left, scope)
            case ast.Subscript(value=value) | ast.Starred(value=value):
                return self.heads(value, scope)
            case ast.Call(func=ast.Name(id=name)):
                return self._returned_by(name)
            case ast.Attribute(attr="argv"):  # of an action that is carried out later
                return self._given_as("argv", scope)
            case ast.Name(id=name):
                return self._value(name, scope)
        raise Unclear(ast.dump(node))

    def _head_of_words(self, first: ast.AST, rest: list[ast.expr], scope: ast.AST) -> set[str]:
        match first:
            case ast.Starred(value=ast.Call(func=ast.Name(id="as_nobody"))):
                return {"setpriv"} | self.heads(rest[0], scope)
        return self.heads(first, scope)

    def _returned_by(self, name: str) -> set[str]:
        functions = (node for node in self.tree.body if isinstance(node, _FUNCTIONS) and node.name == name)
        for function in functions:
            returns = (
                node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value
            )
            return set().union(*(self.heads(value, function) for value in returns))
        raise Unclear(name)

    def _given_as(self, keyword: str, scope: ast.AST) -> set[str]:
        calls = (node for node in ast.walk(self.tree) if isinstance(node, ast.Call))
        given = [each.value for call in calls for each in call.keywords if each.arg == keyword]
        return set().union(*(self.heads(value, scope) for value in given))

    def _value(self, name: str, scope: ast.AST) -> set[str]:
        found: set[str] = set()
        for node in ast.walk(scope):
            match node:
                case ast.Assign(targets=[ast.Name(id=target)], value=value) if target == name:
                    found |= self.heads(value, scope)
                case ast.For(target=ast.Name(id=target), iter=over) if target == name:
                    found |= self._each(over, scope)
                case ast.comprehension(target=ast.Name(id=target), iter=over) if target == name:
                    found |= self._each(over, scope)
        return found or self._constant(name)

    def _each(self, over: ast.AST, scope: ast.AST) -> set[str]:
        match over:
            case ast.Tuple(elts=elements) | ast.List(elts=elements):
                return set().union(*(self.heads(element, scope) for element in elements))
            case ast.Name(id=name):
                return self._constant(name, each=True)
        raise Unclear(ast.dump(over))

    def _constant(self, name: str, *, each: bool = False) -> set[str]:
        value: Any = getattr(importlib.import_module(self.name), name, None)
        words = value if each else [value]
        if not words or not all(isinstance(word, (str, tuple)) for word in words):
            raise Unclear(name)
        return {word if isinstance(word, str) else word[0] for word in words}


def modules() -> Iterator[Module]:
    """Yield our own modules, but for the gate itself."""
    for package in ("agent", "configdrive", "partitioning"):
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            if name not in GATE:
                yield Module(name, ast.parse(path.read_text()))


def called_in(module: Module) -> set[str]:
    """Give the programs that one module calls. Raises Unclear."""
    found: set[str] = set()
    for call, function in module.calls():
        try:
            found |= module.heads(call.args[0], function)
        except Unclear as error:
            raise Unclear(f"{module.name}, line {call.lineno}: {error}") from None
    return found
