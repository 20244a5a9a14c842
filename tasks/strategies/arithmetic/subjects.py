"""Reading a course's subject: is it plain arithmetic, and which?

A subject counts only when every word of it is understood ("addition within 20", "times tables 2 to 9"); one strange
word, as in "history of division in Korea" or "adding fractions", and it is no subject for the arithmetic strategy.
Numbers count only where it is clear what they limit.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from tasks.strategies.arithmetic.sums import OPERATIONS, Op

LARGEST_TOP = 100_000
_WORDS: dict[str, Op] = {
    **dict.fromkeys(("addition", "additions", "add", "adding", "adds", "plus", "sum", "sums", "addends"), "+"),
    **dict.fromkeys(("subtraction", "subtractions", "subtract", "subtracting", "subtracts", "minus"), "-"),
    **dict.fromkeys(("difference", "differences"), "-"),
    **dict.fromkeys(("multiplication", "multiplications", "multiply", "multiplying", "multiplies"), "*"),
    **dict.fromkeys(("multiplied", "times", "product", "products", "table", "tables"), "*"),
    **dict.fromkeys(
        ("division", "divisions", "divide", "dividing", "divides", "divided", "quotient", "quotients"), "/"
    ),
}
#: Words that mean arithmetic only beside others: a subject "Times" or "Tables" may be anything.
_NEED_COMPANY = {"times", "table", "tables"}
_FILLER_WORDS = """
    a all an and arithmetic basic basics by calculation calculations children class college column drill drills
    easy elementary essential essentials exercise exercises fact facts fluency for from fun grade grader graders
    grades in integer integers intro introduction introductory kids kindergarten learn learners learning lesson
    lessons level long math mathematical mathematics maths mental mixed multi my natural negative number numbers
    of on operation operations our positive practice practise primary problem problems questions quick quiz
    review school set short signed simple skill skills strategies student students test the to understanding up
    using value values whole with within without word worksheet worksheets year years
"""
_FILLERS = frozenset(_FILLER_WORDS.split())
_SPELLED = {
    word: str(number)
    for number, word in enumerate(
        ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve"], start=1
    )
} | {"twenty": "20", "fifty": "50", "hundred": "100", "thousand": "1000"}
_ORDINALS = {
    word: f"{number}th"
    for number, word in enumerate(
        ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth"], start=1
    )
}
_SYMBOLS = {"+": " plus ", "−": " minus ", "×": " multiply ", "✕": " multiply ", "*": " multiply ", "÷": " divide "}
_LIST = r"\d+(?:(?:\s*,\s*(?:and\s+|or\s+)?|\s+and\s+|\s+or\s+|\s*&\s*)\d+)*"
_ALL_FOUR = re.compile(
    r"\b(?:4|basic|number|math|maths|mathematical|mixed|whole number|arithmetic)\s+(?:basic\s+|math\s+)?operations\b"
    r"|\barithmetic\b|\bmental\s+(?:math|maths|mathematics|calculations?)\b"
)
_TAKE_AWAY = re.compile(r"\btak(?:e|ing)[\s-]+away\b")
_GRADE = re.compile(
    r"\b(?P<what>grades?|year|class|level|part|unit|lesson|week|set)\s*(?P<year>\d+)(?:\s*(?:-|to|and)\s*\d+)?\b(?![\s-]*digit)"
    r"|\b(?P<nth>\d+)(?:st|nd|rd|th)\s+(?:grade(?:rs?)?|year|class)\b|\b(?P<k>kindergarten|k(?:\s*-\s*\d+)?)\b"
)
_DIGITS = re.compile(r"\b(?P<count>\d+|single|double|triple|multi|multiple|many)[\s-]*digits?\b")
_CARRY = re.compile(
    r"\b(?P<how>with|without|no|and)\s+(?:regrouping|re-grouping|carrying|borrowing|exchanging|renaming|trading)\b"
)
_CLEAN = re.compile(r"\b(?:without|with no|no)\s+remainders?\b")
_STORIES = re.compile(r"\b(?:word|story)[\s-]+problems?\b")
_SQUARE = re.compile(r"\b(?:up to|to|through)?\s*(\d+)\s*(?:x|multiply)\s*(\d+)\b")
_TOP = re.compile(r"\b(?P<how>within|under|below|up to|to|through|until)\s+(?P<top>\d+)\b(?!\s*-?\s*(?:numbers|digit))")
_RANGE = re.compile(r"\b(?:from\s+)?(?P<low>\d+)\s*(?:-|–|to|through|thru)\s*(?P<high>\d+)\b(?:\s*s\b)?")
_FIXED = re.compile(
    r"\b(?:by|times|plus|minus|add|adding|subtract|subtracting|multiply|multiplying|divide|dividing)\s+"
    rf"(?P<numbers>{_LIST})s?\b(?!\s*-?\s*(?:numbers|digit|times))"
)
_ODD_SIGN = re.compile(r"[^\w\s,.;:()&!?'’\"“”–—/|-]")


@dataclass(frozen=True)
class Scope:
    """What a subject asks for. ``top``: no number above it; ``tables``: what is multiplied, divided or added by;
    ``digits``: how long the two numbers are; ``carry``: only with, or only without, carrying and borrowing."""

    operations: tuple[Op, ...]
    top: int | None = None
    tables: tuple[int, ...] = ()
    digits: tuple[int, ...] = ()
    carry: bool | None = None
    signed: bool = False
    whole: bool = False
    stories: bool = False
    year: int | None = None


class _Subject:
    """The words of a subject not yet understood. ``take`` removes what it finds."""

    def __init__(self, text: str) -> None:
        self.text = text

    def take(self, pattern: re.Pattern[str]) -> list[re.Match[str]]:
        found = list(pattern.finditer(self.text))
        self.text = pattern.sub(" ; ", self.text)
        return found


def scope_of(subject: str) -> Scope | None:
    """What a subject asks for; none when it is not plain arithmetic, or asks for what isn't understood."""
    words = _Subject(_spelled_out(subject))
    named = {word: _WORDS[word] for word in _words(words.text) if word in _WORDS}
    if words.take(_TAKE_AWAY):
        named["minus"] = "-"
    all_four = bool(words.take(_ALL_FOUR))
    year = _year(words)
    digits = tuple(count for found in words.take(_DIGITS) if (count := _digit_count(found["count"])))
    carries = {found["how"] for found in words.take(_CARRY)}
    words.take(_CLEAN)
    stories = bool(words.take(_STORIES))
    top, tables = _limits(words, set(named.values()))
    left = set(_words(words.text))
    if _ODD_SIGN.search(words.text) or re.search(r"\d", words.text) or left - _FILLERS - _WORDS.keys():
        return None
    if not _means_arithmetic(set(named), tables) and not all_four:
        return None
    scope = Scope(
        operations=tuple(op for op in OPERATIONS if op in named.values()) or OPERATIONS,
        top=top,
        tables=tables,
        digits=digits,
        carry=bool(carries & {"with"}) if len(carries) == 1 else None,
        signed=bool({"negative", "integer", "integers", "signed"} & left),
        whole=bool({"whole", "natural"} & left),
        stories=stories,
        year=year,
    )
    return scope if _can_be_met(scope) else None


def _spelled_out(subject: str) -> str:
    """The subject in lower case, its signs as words and its number words as figures."""
    text = re.sub(r"['’]s\b", "", subject.casefold())
    if re.search(r"[-+−×✕*÷/]", text) and not re.search(r"[^\W\d_x]|\d", text):
        # Nothing but signs: here a hyphen is a minus.
        text = text.replace("-", " minus ").replace("/", " divide ").replace("x", " multiply ")
    for sign, word in _SYMBOLS.items():
        text = text.replace(sign, word)
    text = re.sub(r"(?<=\d),(?=\d{3}\b)", "", text)
    text = re.sub(r"(\d)\s*x\b(?!\s*\d)", r"\1 times ", text)
    text = re.sub(r"\b(?:one|a|1)\s+(?=(?:hundred|thousand)\b)", "", text)
    return re.sub(r"[a-z]+", lambda found: (_SPELLED | _ORDINALS).get(found.group(), found.group()), text)


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W\d_]+", text)


def _year(words: _Subject) -> int | None:
    years = []
    for found in words.take(_GRADE):
        if found["k"]:
            years.append(0)
        elif found["nth"] or found["what"] in {"grade", "grades", "year", "class"}:
            years.append(int(found["nth"] or found["year"]))
    return min(years, default=None)


def _digit_count(text: str) -> int | None:
    """How many digits; none for "multi-digit", which sets no limit."""
    return int(text) if text.isdigit() else {"single": 1, "double": 2, "triple": 3}.get(text)


def _limits(words: _Subject, named: set[Op]) -> tuple[int | None, tuple[int, ...]]:
    """The largest number allowed, and the tables asked for. What small numbers mean depends on the operation:
    "multiplication to 12" is about tables, "addition to 12" about sums."""
    about_tables = bool(re.search(r"\btables?\b", words.text)) or (bool(named) and named <= {"*", "/"})
    tops: list[int] = []
    tables: set[int] = set()
    for found in words.take(_SQUARE):
        tables.update(range(2, min(max(int(found[1]), int(found[2])), 101) + 1))
    for found in words.take(_RANGE):
        low, high = int(found["low"]), int(found["high"])
        if about_tables and high <= 20:
            tables.update(range(max(low, 1), high + 1))
        else:
            tops.append(high)
    for found in words.take(_TOP):
        top = int(found["top"]) - (found["how"] in {"under", "below"})
        if about_tables and top <= 20 and found["how"] in {"up to", "to", "through", "until"}:
            tables.update(range(2, top + 1))
        else:
            tops.append(top)
    for found in words.take(_FIXED):
        tables.update(int(number) for number in re.findall(r"\d+", found["numbers"]))
    if re.search(r"\btables?\b", words.text):
        tables.update(int(found.group()) for found in words.take(re.compile(r"\d+")))
    return min(tops, default=None), tuple(sorted(tables))


def _means_arithmetic(named: set[str], tables: tuple[int, ...]) -> bool:
    if not named or named - _NEED_COMPANY:
        return bool(named)
    return bool(tables) or ("times" in named and len(named) > 1)


def _can_be_met(scope: Scope) -> bool:
    if scope.top is not None and not 3 <= scope.top <= LARGEST_TOP:
        return False
    if len(scope.digits) > 2 or any(not 1 <= count <= 4 for count in scope.digits):
        return False
    return all(1 <= table <= 100 for table in scope.tables)
