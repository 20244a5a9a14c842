"""A sum: one exercise ``a op b`` with a whole result, and what can be said about it without any words around it."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

Op = Literal["+", "-", "*", "/"]
OPERATIONS: tuple[Op, ...] = ("+", "-", "*", "/")
SIGNS: dict[Op, str] = {"+": "+", "-": "−", "*": "×", "/": "÷"}


def figure(number: int) -> str:
    """A number as it stands in a text, with a proper minus sign."""
    return f"−{-number}" if number < 0 else str(number)


class Sum(NamedTuple):
    """``a op b``. A division is made so that nothing is left over. A tuple, because a course looks at thousands."""

    a: int
    op: Op
    b: int

    @property
    def result(self) -> int:
        if self.op == "+":
            return self.a + self.b
        if self.op == "-":
            return self.a - self.b
        if self.op == "*":
            return self.a * self.b
        return self.a // self.b

    @property
    def largest(self) -> int:
        """How far from zero its numbers go, the result included."""
        return max(abs(self.a), abs(self.b), abs(self.result))

    @property
    def mirrored(self) -> Sum:
        return Sum(self.b, self.op, self.a)

    @property
    def below_zero(self) -> bool:
        """Whether a number below zero takes part."""
        return min(self.a, self.b, self.result) < 0

    @property
    def trivial(self) -> bool:
        """Whether it needs no working: with 0, times or divided by 1, or a number and itself."""
        if 0 in (self.a, self.b, self.result):
            return True
        return self.op in "*/" and 1 in (abs(self.a), abs(self.b), abs(self.result))

    @property
    def carries(self) -> bool:
        """Whether adding carries over, or taking away borrows, in some column (numbers from zero up)."""
        if self.op in "*/" or self.below_zero:
            return False
        left, right = (self.a, self.b) if self.op == "+" else (self.result, self.b)
        while left and right:
            if left % 10 + right % 10 > 9:
                return True
            left, right = left // 10, right // 10
        return False

    @property
    def gives_itself_away(self) -> bool:
        """Whether the result, when it is long enough to be noticed, stands in the exercise itself (500 − 250)."""
        return len(str(self.result)) > 2 and abs(self.result) in (abs(self.a), abs(self.b))

    @property
    def written(self) -> str:
        """As it is printed: ``7 × (−8)``."""
        right = f"({figure(self.b)})" if self.b < 0 else figure(self.b)
        return f"{figure(self.a)} {SIGNS[self.op]} {right}"

    @property
    def ref(self) -> str:
        """As it is kept in a plan: ``7 * -8``."""
        return f"{self.a} {self.op} {self.b}"


def sum_of(a: str, op: str, b: str) -> Sum:
    """A sum from the parts of its ``ref``."""
    return Sum(int(a), cast(Op, op), int(b))


def places(number: int) -> list[int]:
    """A number above zero by its places, the largest first: 345 is 300, 40 and 5. Places with 0 are left out."""
    digits = str(number)
    return [int(digit) * 10 ** (len(digits) - at) for at, digit in enumerate(digits, start=1) if digit != "0"]
