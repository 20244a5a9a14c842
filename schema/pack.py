"""A pack: curated knowledge from which a course is compiled without a model. The format, and its own consistency.

``docs/packs.md`` shows the format by example. The schema says what each part must look like; ``check_pack`` says
what must hold between the parts (every reference resolves, every group offers enough, no template reveals its key).
"""

from __future__ import annotations

import re
from typing import Any, Literal, NotRequired, TypedDict

from marshmallow import fields, validate

from schema.errors import FieldError, Invalid
from schema.fields import Number, StrictSchema, Text, Whole, load
from schema.markers import SECTION, image_markers
from schema.wording import BLANK, phrase_pattern

FORMAT = 1
#: A pack promises this many distinct items in each of its groups.
ITEMS_PER_GROUP = 12


class PackGrades(TypedDict):
    """School years, both inclusive. For adults use 9 to 99."""

    lowest: int
    highest: int


class PackSource(TypedDict):
    id: str
    title: str
    publisher: str
    url: str


class PackFact(TypedDict):
    """One true sentence, and where it can be looked up (ids of sources)."""

    id: str
    text: str
    sources: list[str]


class PackGroup(TypedDict):
    id: str
    name: str


class PackTemplate(TypedDict):
    """A sentence with one ``[blank]``, its answer, and wrong answers (own, or a named set)."""

    id: str
    group: str
    fact: str
    goal: str
    text: str
    answer: str
    distractors: NotRequired[list[str]]
    distractorSet: NotRequired[str]
    hint: NotRequired[str]
    explain: NotRequired[str]
    wrong: NotRequired[dict[str, str]]


class PackSection(TypedDict):
    """One study text: Markdown with ``[SECTION:Title]`` and ``[IMAGE: ...]`` markers."""

    id: str
    title: str
    goals: list[str]
    content: str


class PackDiagram(TypedDict):
    """What to draw for an ``[IMAGE: shows]`` marker. ``kind`` picks the drawing, ``spec`` is its content."""

    shows: str
    kind: Literal["cycle", "flow", "number_line", "fraction_bars", "bar_chart", "labelled"]
    spec: dict[str, Any]


class PackVocabulary(TypedDict):
    """``allowed``: hard words (four or more syllables) a text of this pack may use; ``banned``: never."""

    allowed: list[str]
    banned: list[str]


class PackBlueprint(TypedDict):
    """How items are made of the templates: options shown with each, and variants of one fact kept together."""

    optionsPerItem: int
    variantsPerFact: int


class Pack(TypedDict):
    format: int
    id: str
    version: int
    topic: str
    aliases: list[str]
    subject: str
    language: str
    grades: PackGrades
    gradeBand: str
    title: str
    description: str
    maxReadingLevel: float
    goals: list[dict[str, str]]
    sources: list[PackSource]
    facts: list[PackFact]
    vocabulary: PackVocabulary
    groups: list[PackGroup]
    distractorSets: dict[str, list[str]]
    templates: list[PackTemplate]
    sections: list[PackSection]
    diagrams: list[PackDiagram]
    blueprint: PackBlueprint


_ID = validate.Regexp(r"[a-z0-9][a-z0-9-]{0,39}\Z", error="Use lowercase letters, digits and hyphens, at most 40.")


class _Goal(StrictSchema):
    id = Text(required=True, validate=_ID)
    text = Text(required=True, validate=validate.Length(1, 500))


class _Source(StrictSchema):
    id = Text(required=True, validate=_ID)
    title = Text(required=True, validate=validate.Length(1, 300))
    publisher = Text(required=True, validate=validate.Length(1, 200))
    url = Text(required=True, validate=validate.Regexp(r"https://\S+\Z"))


class _Fact(StrictSchema):
    id = Text(required=True, validate=_ID)
    text = Text(required=True, validate=validate.Length(1, 500))
    sources = fields.List(Text(), required=True, validate=validate.Length(min=1))


class _Group(StrictSchema):
    id = Text(required=True, validate=_ID)
    name = Text(required=True, validate=validate.Length(1, 120))


class _Template(StrictSchema):
    id = Text(required=True, validate=_ID)
    group = Text(required=True)
    fact = Text(required=True)
    goal = Text(required=True)
    text = Text(required=True, validate=validate.Length(1, 500))
    answer = Text(required=True, validate=validate.Length(1, 200))
    distractors = fields.List(Text(validate=validate.Length(1, 200)), validate=validate.Length(min=3))
    distractorSet = Text()
    hint = Text(validate=validate.Length(1, 200))
    explain = Text(validate=validate.Length(1, 1000))
    wrong = fields.Dict(keys=Text(), values=Text(validate=validate.Length(1, 1000)))


class _Section(StrictSchema):
    id = Text(required=True, validate=_ID)
    title = Text(required=True, validate=validate.Length(1, 200))
    goals = fields.List(Text(), required=True, validate=validate.Length(min=1))
    content = Text(required=True, validate=validate.Length(1, 20_000))


class _Diagram(StrictSchema):
    shows = Text(required=True, validate=validate.Length(1, 300))
    kind = Text(
        required=True,
        validate=validate.OneOf(["cycle", "flow", "number_line", "fraction_bars", "bar_chart", "labelled"]),
    )
    spec = fields.Dict(required=True)


class _Vocabulary(StrictSchema):
    allowed = fields.List(Text(), required=True)
    banned = fields.List(Text(), required=True)


class _Blueprint(StrictSchema):
    optionsPerItem = Whole(required=True, validate=validate.Range(3, 4))
    variantsPerFact = Whole(required=True, validate=validate.Range(1, 3))


class _Grades(StrictSchema):
    lowest = Whole(required=True, validate=validate.Range(0, 99))
    highest = Whole(required=True, validate=validate.Range(0, 99))


class PackSchema(StrictSchema):
    format = Whole(required=True, validate=validate.Equal(FORMAT))
    id = Text(required=True, validate=_ID)
    version = Whole(required=True, validate=validate.Range(min=1))
    topic = Text(required=True, validate=validate.Length(1, 120))
    aliases = fields.List(Text(validate=validate.Length(1, 120)), required=True)
    subject = Text(required=True, validate=validate.Length(1, 200))
    language = Text(required=True, validate=validate.Length(2, 35))
    grades = fields.Nested(_Grades, required=True)
    gradeBand = Text(required=True, validate=validate.Length(1, 50))
    title = Text(required=True, validate=validate.Length(1, 120))
    description = Text(required=True, validate=validate.Length(1, 2000))
    maxReadingLevel = Number(required=True, validate=validate.Range(0, 20))
    goals = fields.List(fields.Nested(_Goal), required=True, validate=validate.Length(min=1))
    sources = fields.List(fields.Nested(_Source), required=True, validate=validate.Length(min=1))
    facts = fields.List(fields.Nested(_Fact), required=True, validate=validate.Length(min=1))
    vocabulary = fields.Nested(_Vocabulary, required=True)
    groups = fields.List(fields.Nested(_Group), required=True, validate=validate.Length(min=1))
    distractorSets = fields.Dict(
        keys=Text(), values=fields.List(Text(), validate=validate.Length(min=4)), required=True
    )
    templates = fields.List(fields.Nested(_Template), required=True, validate=validate.Length(min=1))
    sections = fields.List(fields.Nested(_Section), required=True, validate=validate.Length(min=1))
    diagrams = fields.List(fields.Nested(_Diagram), required=True)
    blueprint = fields.Nested(_Blueprint, required=True)


def load_pack(given: Any) -> Pack:
    """Read a pack's JSON. Raises ``Invalid`` naming every fault of form and every broken promise."""
    pack: Pack = load(PackSchema(), given)  # type: ignore[assignment]
    faults = check_pack(pack)
    if faults:
        raise Invalid(faults)
    return pack


def wrong_answers(pack: Pack, template: PackTemplate) -> list[str]:
    """The distractors of a template: its own, else its set's without the answer."""
    own = template.get("distractors")
    if own is not None:
        return own
    given = pack["distractorSets"].get(template.get("distractorSet", ""), [])
    return [text for text in given if fold(text) != fold(template["answer"])]


def fold(text: str) -> str:
    """Case, punctuation and runs of spaces aside: the form in which topics and options are compared."""
    return re.sub(r"[\W_]+", " ", text.casefold()).strip()


def check_pack(pack: Pack) -> list[FieldError]:
    """What must hold between a pack's parts. Empty when the pack is sound."""
    faults: list[FieldError] = []

    def fault(path: str, message: str) -> None:
        faults.append(FieldError(path, "inconsistent", message))

    known: dict[str, set[str]] = {}
    named: list[tuple[str, list[Any]]] = [
        ("goals", pack["goals"]),
        ("sources", pack["sources"]),
        ("facts", pack["facts"]),
        ("groups", pack["groups"]),
        ("templates", pack["templates"]),
        ("sections", pack["sections"]),
    ]
    for part, entries in named:
        ids = [entry["id"] for entry in entries]
        known[part] = set(ids)
        if len(ids) != len(known[part]):
            fault(part, "Two entries have the same id.")

    def refer(path: str, part: str, wanted: str) -> None:
        if wanted not in known[part]:
            fault(path, f"There is no entry {wanted!r} in {part}.")

    if pack["grades"]["lowest"] > pack["grades"]["highest"]:
        fault("grades", "The lowest grade is above the highest.")
    for index, fact in enumerate(pack["facts"]):
        for source in fact["sources"]:
            refer(f"facts.{index}.sources", "sources", source)
    seen: set[tuple[str, str]] = set()
    for index, template in enumerate(pack["templates"]):
        path = f"templates.{index} ({template['id']})"
        refer(path, "groups", template["group"])
        refer(path, "facts", template["fact"])
        refer(path, "goals", template["goal"])
        if template["text"].count(BLANK) != 1:
            fault(path, "The text needs exactly one [blank].")
        if phrase_pattern(template["answer"].strip()).search(template["text"].replace(BLANK, "\n")):
            fault(path, "The answer already stands in the text.")
        if ("distractors" in template) == ("distractorSet" in template):
            fault(path, "Give either distractors or a distractorSet.")
        if template.get("distractorSet", "") not in {"", *pack["distractorSets"]}:
            fault(path, f"There is no distractorSet {template['distractorSet']!r}.")
        if not set(template.get("wrong", {})) <= set(wrong_answers(pack, template)):
            fault(path, "It explains an option that is not among its wrong answers.")
        wrong = [fold(text) for text in wrong_answers(pack, template)]
        if len(set(wrong)) < 3 or len(set(wrong)) != len(wrong):
            fault(path, "At least three wrong answers are needed, all different.")
        if fold(template["answer"]) in wrong:
            fault(path, "The answer is among the wrong answers.")
        key = (fold(template["text"]), fold(template["answer"]))
        if key in seen:
            fault(path, "The same sentence stands in another template.")
        seen.add(key)
    for group in pack["groups"]:
        offered = sum(template["group"] == group["id"] for template in pack["templates"])
        if offered < ITEMS_PER_GROUP:
            fault(f"groups.{group['id']}", f"Offers {offered} templates; at least {ITEMS_PER_GROUP} are promised.")
    drawn = {diagram["shows"] for diagram in pack["diagrams"]}
    shown: set[str] = set()
    for index, section in enumerate(pack["sections"]):
        for goal in section["goals"]:
            refer(f"sections.{index}.goals", "goals", goal)
        if not SECTION.search(section["content"]):
            fault(f"sections.{index}.content", "Needs at least one [SECTION:Title] marker.")
        shown.update(image_markers(section["content"]))
    for missing in sorted(shown - drawn):
        fault("diagrams", f"No diagram shows {missing!r}.")
    for unused in sorted(drawn - shown):
        fault("diagrams", f"No section has a marker for {unused!r}.")
    return faults
