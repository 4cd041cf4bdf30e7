"""The language of expressions: numbers, tags by name, arithmetic, comparisons, `and`, `or`, `not`. Nothing else.

A text is parsed, checked node by node against what is allowed, and turned into NumPy calls; no text is ever executed.
Truth has three values, 1, 0 and NaN for unknown, after Kleene: ``unknown or 1`` is 1, ``unknown and 0`` is 0, so that a
bad tag neither hides what the others show nor makes up what they do not.
"""

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import reduce

import numpy as np

from davylamp_alarms.batch import Bools, Floats

LONGEST = 1000
"""Characters in an expression; more is a program, and belongs into a rule of its own."""

DEEPEST = 40
"""Levels of brackets and operators."""


class ExpressionError(ValueError):
    """An expression that cannot be understood: where, why, and what to write instead, in both languages."""

    def __init__(self, column: int, zh: str, en: str) -> None:
        super().__init__(f"column {column}: {en}")
        self.column, self.zh, self.en = column, f"第 {column} 列：{zh}", f"column {column}: {en}"


class Sort(Enum):
    """What a part of an expression is."""

    NUMBER = "number"
    TRUTH = "truth"


Evaluate = Callable[[Floats], Floats]


@dataclass(frozen=True, slots=True)
class Part:
    """One node: what it is, and how it is worked out from the values, shape (inputs, rows)."""

    sort: Sort
    evaluate: Evaluate


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition over several tags; `used` are the inputs it names, `truth` gives 1, 0 or NaN, shape (rows,)."""

    used: tuple[int, ...]
    truth: Evaluate


def _arithmetic(operate: Callable[[Floats, Floats], Floats]) -> Callable[[Floats, Floats], Floats]:
    def known(left: Floats, right: Floats) -> Floats:
        """Return the result; what is no number (1/0, overflow) is unknown."""
        with np.errstate(all="ignore"):
            found = operate(left, right)
        return np.where(np.isfinite(found), found, np.nan)

    return known


ARITHMETIC: Mapping[type[ast.operator], Callable[[Floats, Floats], Floats]] = {
    ast.Add: _arithmetic(np.add),
    ast.Sub: _arithmetic(np.subtract),
    ast.Mult: _arithmetic(np.multiply),
    ast.Div: _arithmetic(np.divide),
    ast.Pow: _arithmetic(np.power),
}

COMPARISONS: Mapping[type[ast.cmpop], Callable[[Floats, Floats], Bools]] = {
    ast.Lt: np.less,
    ast.LtE: np.less_equal,
    ast.Gt: np.greater,
    ast.GtE: np.greater_equal,
    ast.Eq: np.equal,
    ast.NotEq: np.not_equal,
}


def _single(function: Callable[[Floats], Floats]) -> Callable[[Sequence[Floats]], Floats]:
    def known(arguments: Sequence[Floats]) -> Floats:
        with np.errstate(all="ignore"):
            found = function(arguments[0])
        return np.where(np.isfinite(found), found, np.nan)

    return known


FUNCTIONS: Mapping[str, tuple[int, Callable[[Sequence[Floats]], Floats]]] = {
    "abs": (1, _single(np.abs)),
    "sqrt": (1, _single(np.sqrt)),
    "log": (1, _single(np.log)),
    "exp": (1, _single(np.exp)),
    "min": (2, lambda of: reduce(np.minimum, of)),
    "max": (2, lambda of: reduce(np.maximum, of)),
    "mean": (2, lambda of: sum(of[1:], of[0]) / len(of)),
}
"""Functions of numbers: the least number of arguments (one means exactly one), and what they do."""

INSTEAD = {
    "&&": "and",
    "||": "or",
    "≥": ">=",
    "≤": "<=",
    "≠": "!=",
    "＞": ">",
    "＜": "<",
    "＝": "==",
    "（": "(",
    "）": ")",
    "，": ",",
    "×": "*",
    "÷": "/",
    "＋": "+",
    "－": "-",
    "且": "and",
    "或": "or",
}
"""What people write, and what to write instead; the words only where they stand alone."""


def compiled(text: str, names: Sequence[str]) -> Expression:
    """Return the condition a text describes, over inputs of these names.

    Raises:
        ExpressionError: It is no condition in this language; the message names the column, counted without leading
            spaces, and what to write.
    """
    text = text.strip()
    if len(text) > LONGEST:
        raise ExpressionError(LONGEST, f"表达式超过 {LONGEST} 个字符，请拆开", f"over {LONGEST} characters: split it")
    _refuse_foreign_signs(text, names)
    compiler = _Compiler(tuple(names), set())
    part = compiler.part(_parsed(text), 0)
    if part.sort is not Sort.TRUTH:
        zh, en = "结果是数值，请写成条件，例如 a - b > 5", "this is a number: make it a condition, such as a - b > 5"
        raise ExpressionError(1, zh, en)
    return Expression(
        tuple(sorted(compiler.used)), lambda values: np.broadcast_to(part.evaluate(values), values.shape[1])
    )


def _refuse_foreign_signs(text: str, names: Sequence[str]) -> None:
    words = text.split()
    for sign, instead in INSTEAD.items():
        if (sign in words and sign not in names) if sign.isalpha() else sign in text:
            zh, en = f"“{sign}”请写成 {instead}", f"write {instead} instead of {sign}"
            raise ExpressionError(text.index(sign) + 1, zh, en)


def _parsed(text: str) -> ast.expr:
    try:
        return ast.parse(text, mode="eval").body
    except SyntaxError as error:
        column = error.offset if error.offset and error.lineno == 1 else len(text) + 1
        if text[column - 1 : column] == "=":
            raise ExpressionError(column, "比较相等请写 ==", "write == to compare") from None
        zh, en = "写法不完整或有误，请检查括号和运算符", "this cannot be read: look at brackets and operators"
        raise ExpressionError(column, zh, en) from None
    except (ValueError, MemoryError, RecursionError, OverflowError):
        raise ExpressionError(1, "表达式无法解析，请简化", "this cannot be read: make it simpler") from None


@dataclass(slots=True)
class _Compiler:
    """Turns nodes into parts; whatever is not spelled out here is refused."""

    names: tuple[str, ...]
    used: set[int]

    def part(self, node: ast.expr, depth: int) -> Part:
        if depth > DEEPEST:
            raise _at(node, f"嵌套超过 {DEEPEST} 层，请简化", f"over {DEEPEST} levels deep: make it simpler")
        match node:
            case ast.Constant():
                return self.constant(node)
            case ast.Name():
                return self.name(node)
            case ast.BinOp():
                return self.arithmetic(node, depth + 1)
            case ast.UnaryOp():
                return self.unary(node, depth + 1)
            case ast.BoolOp():
                return self.junction(node, depth + 1)
            case ast.Compare():
                return self.comparison(node, depth + 1)
            case ast.IfExp():
                return self.choice(node, depth + 1)
            case ast.Call():
                return self.call(node, depth + 1)
        allowed = "numbers, tags, + - * / **, comparisons, and, or, not, functions"
        raise _at(
            node, "此处不允许这种写法；可用：数、测点、+ - * / **、比较、and、or、not、函数", f"allowed are {allowed}"
        )

    def constant(self, node: ast.Constant) -> Part:
        if isinstance(node.value, bool) or not isinstance(node.value, int | float):
            raise _at(node, "只能写数值", "only numbers can stand here")
        try:
            value = float(node.value)
        except OverflowError:
            value = math.inf
        if not math.isfinite(value):
            raise _at(node, "数值太大", "this number is too large")
        return Part(Sort.NUMBER, lambda values: np.array(value))

    def name(self, node: ast.Name) -> Part:
        if node.id in FUNCTIONS or node.id == "atleast":
            raise _at(node, f"函数 {node.id} 后面要写括号", f"{node.id} is a function: write its brackets")
        if node.id not in self.names:
            known = ", ".join(self.names)
            raise _at(node, f"没有测点 {node.id}；可用：{known}", f"no tag {node.id!r}; there are {known}")
        index = self.names.index(node.id)
        self.used.add(index)
        return Part(Sort.NUMBER, lambda values: values[index])

    def arithmetic(self, node: ast.BinOp, depth: int) -> Part:
        operate = ARITHMETIC.get(type(node.op))
        if operate is None:
            power = isinstance(node.op, ast.BitXor)
            raise _at(
                node,
                "乘方请写 **" if power else "可用运算：+ - * / **",
                "write ** for powers" if power else "write + - * / or **",
            )
        left, right = self.number(node.left, depth), self.number(node.right, depth)
        return Part(Sort.NUMBER, lambda values: operate(left(values), right(values)))

    def unary(self, node: ast.UnaryOp, depth: int) -> Part:
        if isinstance(node.op, ast.Not):
            truth = self.truth(node.operand, depth)
            return Part(Sort.TRUTH, lambda values: 1.0 - truth(values))
        if isinstance(node.op, ast.USub | ast.UAdd):
            number, sign = self.number(node.operand, depth), -1.0 if isinstance(node.op, ast.USub) else 1.0
            return Part(Sort.NUMBER, lambda values: sign * number(values))
        raise _at(node, "取反请写 not", "write not")

    def junction(self, node: ast.BoolOp, depth: int) -> Part:
        parts = [self.truth(value, depth) for value in node.values]
        join = _and if isinstance(node.op, ast.And) else _or
        return Part(Sort.TRUTH, lambda values: join([part(values) for part in parts]))

    def comparison(self, node: ast.Compare, depth: int) -> Part:
        sides = [self.number(side, depth) for side in (node.left, *node.comparators)]
        compare = [COMPARISONS.get(type(operator)) for operator in node.ops]
        known = [found for found in compare if found is not None]
        if len(known) < len(compare):
            raise _at(node, "比较请写 < <= > >= == !=", "write < <= > >= == or != to compare")

        def truth(values: Floats) -> Floats:
            worked = [side(values) for side in sides]
            pairs = zip(known, worked[:-1], worked[1:], strict=True)
            return _and([np.where(np.isnan(a) | np.isnan(b), np.nan, holds(a, b)) for holds, a, b in pairs])

        return Part(Sort.TRUTH, truth)

    def choice(self, node: ast.IfExp, depth: int) -> Part:
        test, then, other = self.truth(node.test, depth), self.part(node.body, depth), self.part(node.orelse, depth)
        if then.sort is not other.sort:
            raise _at(
                node, "if 与 else 两边须同为数值或同为条件", "both sides of if and else must be numbers, or conditions"
            )

        def chosen(values: Floats) -> Floats:
            holds = test(values)
            return np.where(
                np.isnan(holds), np.nan, np.where(holds == 1, then.evaluate(values), other.evaluate(values))
            )

        return Part(then.sort, chosen)

    def call(self, node: ast.Call, depth: int) -> Part:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        if node.keywords or (name not in FUNCTIONS and name != "atleast"):
            known = ", ".join([*FUNCTIONS, "atleast"])
            raise _at(node, f"没有这个函数；可用：{known}", f"there is no such function; there are {known}")
        if name == "atleast":
            return self.atleast(node, depth)
        least, function = FUNCTIONS[name]
        if len(node.args) < least or (least == 1 and len(node.args) > 1):
            count = "1" if least == 1 else f">= {least}"
            raise _at(node, f"{name} 需要 {count} 个参数", f"{name} takes {count} arguments")
        arguments = [self.number(argument, depth) for argument in node.args]
        return Part(Sort.NUMBER, lambda values: function([argument(values) for argument in arguments]))

    def atleast(self, node: ast.Call, depth: int) -> Part:
        """Build ``atleast(2, a > 1, b > 1, c > 1)``: so many of the conditions hold."""
        first = node.args[0] if node.args else None
        if not (isinstance(first, ast.Constant) and type(first.value) is int and 1 <= first.value < len(node.args)):
            raise _at(node, "请写成 atleast(2, a > 1, b > 1)", "write it as atleast(2, a > 1, b > 1)")
        need, parts = first.value, [self.truth(argument, depth) for argument in node.args[1:]]

        def truth(values: Floats) -> Floats:
            truths = np.array([np.broadcast_to(part(values), values.shape[1]) for part in parts])
            hold, open_ = (truths == 1).sum(axis=0), np.isnan(truths).sum(axis=0)
            return np.where(hold >= need, 1.0, np.where(hold + open_ >= need, np.nan, 0.0))

        return Part(Sort.TRUTH, truth)

    def number(self, node: ast.expr, depth: int) -> Evaluate:
        part = self.part(node, depth)
        if part.sort is not Sort.NUMBER:
            raise _at(node, "此处需要数值，而这是条件", "a number is wanted here, and this is a condition")
        return part.evaluate

    def truth(self, node: ast.expr, depth: int) -> Evaluate:
        part = self.part(node, depth)
        if part.sort is not Sort.TRUTH:
            zh, en = "此处需要条件，请写出比较，例如 > 0", "a condition is wanted here: write a comparison, such as > 0"
            raise _at(node, zh, en)
        return part.evaluate


def _at(node: ast.expr, zh: str, en: str) -> ExpressionError:
    return ExpressionError(node.col_offset + 1, zh, en)


def _and(truths: Sequence[Floats]) -> Floats:
    """Return 0 where any is 0, else unknown where any is unknown, else 1."""
    found = truths[0]
    for truth in truths[1:]:
        found = np.where(np.fmin(found, truth) == 0, 0.0, np.minimum(found, truth))
    return found


def _or(truths: Sequence[Floats]) -> Floats:
    """Return 1 where any is 1, else unknown where any is unknown, else 0."""
    found = truths[0]
    for truth in truths[1:]:
        found = np.where(np.fmax(found, truth) == 1, 1.0, np.maximum(found, truth))
    return found
