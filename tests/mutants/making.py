"""
Makes the mutants of a module: its functions with one small thing changed.

The changes are mutmut's (operators, numbers, words, arguments, assignments ...) and three more: a condition the other
way round, nothing returned, a statement left out. mutmut leaves out decorated functions, and so properties; here only
decorators, annotations and defaults are left out, since they are evaluated once, when the module is imported.
"""

from __future__ import annotations
import __future__

import ast
import random
from collections.abc import Callable, Iterable
from difflib import SequenceMatcher
from functools import lru_cache
from itertools import islice
from pathlib import Path
from types import CodeType
from typing import Any, NamedTuple

import libcst as cst
from libcst.metadata import MetadataWrapper, PositionProvider
from mutmut.mutation.mutators import mutation_operators, operator_string

_LOGS = {"log", "_log", "logger"}


class Mutant(NamedTuple):
    """
    A function with one small thing changed.

    :param function: the function of a module or class that it is in, with its class
    :param span: the lines of that function
    :param lines: the lines of the changed statement, or of the head of one that has a body
    :param change: the lines before and after
    :param code: the function's code with the change
    """

    function: str
    span: range
    lines: range
    change: str
    code: CodeType

    @property
    def near(self) -> range:
        """The lines on which the function may be said to begin: at its first decorator."""
        return range(self.span.start - 5, self.span.stop)


class Made(NamedTuple):
    """
    The mutants of a module.

    :param equivalent: how many were left out since they come to the same bytecode
    :param wording: how many were left out since only a log's or a sentence's words differ
    """

    mutants: list[Mutant]
    equivalent: int
    wording: int


def mutants_of(path: Path, most: int | None = None, seed: int = 1) -> Made:
    """
    Return the mutants of a module, in the order of its lines.

    :param most: draw so many
    :param seed: of the drawing
    """
    visitor = _Visitor()
    module = MetadataWrapper(cst.parse_module(path.read_text())).visit(visitor)
    found = list(enumerate(visitor.found))
    if most is not None:
        random.Random(seed).shuffle(found)
    mutants: dict[int, Mutant] = {}
    seen: set[tuple[str, str]] = set()
    equivalent = wording = 0
    for number, each in found:
        if len(mutants) == most:
            break
        function, name = each.place.function, each.place.name
        source = each.place.source(module, function)
        mutated = each.place.source(module, function.deep_replace(each.node, each.mutated))
        try:
            changed = each.place.compiled(mutated)
        except SyntaxError:
            continue
        if _same(changed, each.place.compiled(source)):
            equivalent += 1
        elif (text := _without_wording(mutated)) == _without_wording(source):
            wording += 1
        elif (name, text) not in seen:
            seen.add((name, text))
            mutants[number] = Mutant(name, each.place.span, each.lines, _change(source, mutated), changed)
    return Made([mutants[number] for number in sorted(mutants)], equivalent, wording)


class _Place(NamedTuple):
    """
    A function of a module or of a class in it.

    :param span: its lines
    :param classes: the names of the classes that it is in, outermost first
    """

    function: cst.FunctionDef
    span: range
    classes: tuple[str, ...]

    @property
    def name(self) -> str:
        return ".".join((*self.classes, self.function.name.value))

    def source(self, module: cst.Module, function: Any) -> str:
        """Return the text of a function in its place, without what is around it."""
        node: Any = function.with_changes(decorators=[], leading_lines=[])
        for name in reversed(self.classes):
            node = cst.ClassDef(cst.Name(name), cst.IndentedBlock([node]))
        return module.code_for_node(node)

    def compiled(self, source: str) -> CodeType:
        """Return the code of the function in its source."""
        code = compile(source, "<mutant>", "exec", __future__.annotations.compiler_flag, dont_inherit=True)
        for name in (*self.classes, self.function.name.value):
            code = next(c for c in code.co_consts if isinstance(c, CodeType) and c.co_name == name)
        return code


class _Found(NamedTuple):
    place: _Place
    lines: range
    node: cst.CSTNode
    mutated: cst.CSTNode


class _Visitor(cst.CSTVisitor):
    METADATA_DEPENDENCIES = (PositionProvider,)

    def __init__(self) -> None:
        self.found: list[_Found] = []
        self._classes: list[str] = []
        self._place: _Place | None = None
        self._lines: list[range] = []

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, (cst.Annotation, cst.Decorator, cst.Param)):
            return False
        if isinstance(node, cst.Call) and isinstance(node.func, cst.Name) and node.func.value in {"len", "isinstance"}:
            return False  # as mutmut does
        if isinstance(node, (cst.BaseCompoundStatement, cst.SimpleStatementLine)):
            self._lines.append(self._own_lines(node))
        if self._place is None:
            if isinstance(node, cst.ClassDef):
                self._classes.append(node.name.value)
            elif isinstance(node, cst.FunctionDef):
                self._place = _Place(node, self._span(node), tuple(self._classes))
            return True
        for kind, changes in _OPERATORS:
            if isinstance(node, kind):
                self.found += [_Found(self._place, self._lines[-1], node, mutated) for mutated in changes(node)]
        return True

    def on_leave(self, node: cst.CSTNode) -> None:
        if isinstance(node, (cst.BaseCompoundStatement, cst.SimpleStatementLine)):
            self._lines.pop()
        if self._place is None and isinstance(node, cst.ClassDef):
            self._classes.pop()
        elif self._place is not None and node is self._place.function:
            self._place = None

    def _span(self, node: cst.CSTNode) -> range:
        position = self.get_metadata(PositionProvider, node)
        return range(position.start.line, position.end.line + 1)

    def _own_lines(self, node: cst.CSTNode) -> range:
        """Return the lines of a statement; of one with a body those of its head."""
        span = self._span(node)
        body = getattr(node, "body", None)
        if not isinstance(body, cst.BaseSuite):
            return span
        first = self._span(body.body[0]).start if body.body else span.stop
        return range(span.start, max(span.start + 1, first))


def _flipped(node: cst.If | cst.While | cst.CompIf) -> Iterable[cst.CSTNode]:
    test = node.test.with_changes(lpar=[cst.LeftParen(), *node.test.lpar], rpar=[*node.test.rpar, cst.RightParen()])
    yield node.with_changes(test=cst.UnaryOperation(cst.Not(), test))


def _returns_nothing(node: cst.Return) -> Iterable[cst.CSTNode]:
    if node.value is not None:
        yield node.with_changes(value=cst.Name("None"))


def _left_out(node: cst.Expr | cst.Raise | cst.Del) -> Iterable[cst.CSTNode]:
    if not isinstance(node, cst.Expr) or not isinstance(node.value, (cst.BaseString, cst.Ellipsis)):
        yield cst.Pass()


def _other_word(node: cst.BaseString) -> Iterable[cst.CSTNode]:
    yield from islice(operator_string(node), 1)  # the further ones differ from it in letter case


_OPERATORS: list[tuple[type | tuple[type, ...], Callable[..., Iterable[cst.CSTNode]]]] = [
    *((kind, _other_word if operator is operator_string else operator) for kind, operator in mutation_operators),
    ((cst.If, cst.While, cst.CompIf), _flipped),
    (cst.Return, _returns_nothing),
    ((cst.Expr, cst.Raise, cst.Del), _left_out),
]


def _same(one: CodeType, other: CodeType) -> bool:
    """Say whether two functions do the same, step by step, wherever their lines are."""
    if (one.co_code, one.co_names, one.co_varnames) != (other.co_code, other.co_names, other.co_varnames):
        return False
    return len(one.co_consts) == len(other.co_consts) and all(
        _same(a, b) if isinstance(a, CodeType) and isinstance(b, CodeType) else type(a) is type(b) and a == b
        for a, b in zip(one.co_consts, other.co_consts, strict=True)
    )


class _Wording(ast.NodeTransformer):
    """Takes out what is left out by rule: calls of a log, texts that are sentences, ``strict`` of a ``zip``."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        call = node.value
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Attribute):
            owner = call.func.value
            name = owner.id if isinstance(owner, ast.Name) else owner.attr if isinstance(owner, ast.Attribute) else ""
            if name in _LOGS:
                return ast.Pass()
        return self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        if isinstance(node.func, ast.Name) and node.func.id == "zip":
            node.keywords = []
        return self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Constant(None) if isinstance(node.value, str) and " " in node.value.strip() else node

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        texts = "".join(str(part.value) for part in node.values if isinstance(part, ast.Constant))
        return ast.Constant(None) if " " in texts else self.generic_visit(node)


@lru_cache(maxsize=4)
def _without_wording(source: str) -> str:
    return ast.dump(_Wording().visit(ast.parse(source)))


def _change(before: str, after: str) -> str:
    old, new = before.splitlines(), after.splitlines()
    same = [block for block in SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks() if block.size]
    head = same[0].size if same and same[0].a == same[0].b == 0 else 0
    tail = same[-1].size if same and same[-1].a + same[-1].size == len(old) and len(same) > 1 else 0
    ours, theirs = old[head : len(old) - tail], new[head : len(new) - tail]
    return "  ->  ".join(" ".join(map(str.strip, lines)) for lines in (ours, theirs))
