"""What the scripted model knows: small true facts, and number stories.

Both are made the same way in every process, so any question can be answered again from its words alone.
"""

from __future__ import annotations

import hashlib
import random
import re
from dataclasses import dataclass, replace
from functools import cache

from rapidfuzz import fuzz

_FACTS = """
Eiffel Tower|You can climb the Eiffel Tower in the city of [blank].|Paris|Rome|Berlin|Madrid
Freezing water|Water turns into [blank] when it gets very cold.|ice|steam|sand|oil
Spiders|A spider walks on [blank] legs.|eight|six|four|ten
Bees|Bees store sweet [blank] in their hive.|honey|jam|butter|bread
Young frogs|With gills and a tail, a very young frog is a [blank].|tadpole|kitten|chick|calf
Sunrise|Each morning we see the Sun rise in the [blank].|east|west|north|south
The year|In one year our Earth goes once around the [blank].|Sun|Moon|planet Mars|North Pole
Days of the week|Monday to Sunday is one [blank].|week|month|hour|year
Triangles|A shape with just three straight sides is a [blank].|triangle|square|circle|hexagon
Mixing paint|Stir blue paint into yellow paint and you get [blank].|green|red|pink|white
Short month|No month is as short as [blank].|February|June|March|August
Camels|A desert animal with humps is the [blank].|camel|zebra|wolf|seal
Giraffes|Thanks to its long neck, no animal is as tall as the [blank].|giraffe|horse|lion|goat
Young dogs|People call a baby dog a [blank].|puppy|foal|lamb|duckling
The heart|Blood is pumped through your body by the [blank].|heart|liver|skin|stomach
Bones|Under the skin, hard [blank] hold your body up.|bones|nails|hairs|veins
Breathing|Breathe in, and fresh air flows to your [blank].|lungs|knees|ears|kidneys
Taste|Sweet or sour, you taste it with your [blank].|tongue|elbow|chin|heel
Roots|Plants use their roots to drink [blank] from the soil.|water|light|paper|wind
Penguins|Black and white birds that swim but can not fly are [blank].|penguins|eagles|swallows|owls
Blue whales|The heaviest animal in the sea is the blue [blank].|whale|shark|squid|crab
Magnets|Hold a magnet near nails made of [blank] and they stick.|iron|wood|glass|cotton
Compass|Hikers know their way since a compass needle points [blank].|north|uphill|home|down
Rain|Dark [blank] often bring rain.|clouds|stars|kites|rocks
Rainbows|When the Sun shines through rain, look for a [blank].|rainbow|shadow|snowman|comet
Volcanoes|Melted rock that runs down a volcano is [blank].|lava|chalk|clay|snow
Pyramids|Long ago, huge pyramids were built near Cairo in [blank].|Egypt|Peru|Norway|Japan
Long wall|One very long old wall winds over the hills of [blank].|China|Kenya|Canada|Iceland
Kangaroos|Wild kangaroos hop about in [blank].|Australia|Poland|Mexico|India
Pizza|The home of pizza is [blank].|Italy|Cuba|Sweden|Ghana
Piano|On a piano, some keys are black and the others are [blank].|white|orange|purple|silver
Guitar|To play the guitar, pluck its [blank].|strings|wheels|drums|bells
Minutes|Count sixty seconds and one [blank] is over.|minute|day|decade|season
Bread|Bakers knead dough from water, yeast and [blank].|flour|gravel|soap|ink
Cheese|Both cheese and cream come from [blank].|milk|rice|leaves|stones
Wool|In spring, farmers cut warm wool from their [blank].|sheep|snakes|frogs|ducks
Paper|Most of the paper in books once grew as [blank].|trees|shells|apples|feathers
Windows|You can look through windows as they are made of [blank].|glass|brick|felt|cork
Bats|Hanging upside down from a roof is how bats [blank].|sleep|swim|dig|sing
Snails|Slow as it is, a snail hides in its own [blank].|shell|nest|cave|burrow
Butterflies|What was once a caterpillar can turn into a [blank].|butterfly|spider|mouse|robin
Chess|You win at chess by trapping the other player's [blank].|king|pawn|knight|rook
Football|Eleven players make one full [blank] team on a big grass field.|football|tennis|chess|judo
Olympic flag|Count the rings on the Olympic flag and you get [blank].|five|two|nine|twelve
Halves|Cut one apple into two equal parts: each part is a [blank].|half|third|quarter|dozen
Dozens|Whoever buys a dozen eggs takes home [blank] of them.|twelve|nine|six|twenty
Traffic lights|Drivers have to stop as soon as the light turns [blank].|red|green|blue|white
Fire|Cover a candle and the flame dies, for it needs [blank].|air|shade|noise|sugar
Fever|Mum checks for a fever with a [blank].|thermometer|ruler|map|spoon
Far stars|Far away stars look close through a [blank].|telescope|straw|comb|ladder
Sailing|What drives a sailing boat is the [blank].|wind|railway|street|sand
Anchors|So that the ship stays in place, sailors drop the [blank].|anchor|mast|flag|lamp
Bicycles|A bicycle rolls on when your feet push the [blank].|pedals|saddle|bell|basket
Libraries|Books can be borrowed from the [blank].|library|bakery|garage|stable
Toothache|Someone whose tooth hurts should see a [blank].|dentist|pilot|farmer|singer
Hedgehogs|A hedgehog eats a lot in autumn and rests all [blank].|winter|summer|spring|lunch
Fish|Under water, fish breathe through [blank].|gills|scales|tails|noses
Birds|What keeps a bird warm and lets it fly are its [blank].|feathers|hooves|horns|fins
Elephants|Elephants suck up water with the [blank].|trunk|horn|hoof|tail
Zebras|You know a zebra by its black and white [blank].|stripes|flowers|buttons|wings
Cactus|Nobody likes to touch a cactus and its sharp [blank].|spines|roots|seeds|petals
Sea water|Nobody drinks from the sea because of all the [blank] in it.|salt|sugar|mint|pepper
Oceans|Between Asia and America lies the huge [blank] Ocean.|Pacific|Arctic|Atlantic|Southern
Saturn|Bright rings of ice and dust circle the planet [blank].|Saturn|Venus|Mercury|Earth
First on the Moon|In 1969 the Moon had its first guest, Neil [blank].|Armstrong|Newton|Darwin|Curie
Romeo and Juliet|The sad play of Romeo and Juliet is by [blank].|Shakespeare|Mozart|Picasso|Einstein
Mona Lisa|Her smile in the Mona Lisa was painted by Leonardo da [blank].|Vinci|Gama|Silva|Costa
Alphabet|From A to Z there are twenty-six [blank].|letters|numbers|colours|pages
"""

#: Where a story takes place, and the story: numbers a and b, their sum c, their product m.
_SCENES = """
Rain falls on the {p}.|{d} is a busy day.|School is out.|How quiet it is today!|A band plays in the park.
It snowed all {d}.|Mum calls from the {p}.|Once more the train is late.|Here comes {f}.|Lunch is over.
{f} has a plan.|Look what the {p} can offer!|Dad is making soup.|Fog hides the {p}.|What a fine {d}!
{f} keeps the list.|The lights are out.|Next door lives {f}.|Snow lies on the hills.|Holidays begin on {d}.
This is how {f} tells it.|A storm shook the {p}.|Guests will come at noon.|Two weeks went by.|Please help {f}.
Birds sing above the {p}.|{f} can not believe it.|By {d} all is done.|Nobody else is up yet.|Now it gets tricky.
"""
_STORIES = (
    ("{n} has {a} {o} and finds {b} more. Now {n} owns [blank].", "+"),
    ("On a shelf stood {c} {o}. Since {n} took {b}, only [blank] are left.", "-"),
    ("{n} fills {b} boxes with {a} {o} each, [blank] in all.", "*"),
    ("{m} {o} are shared by {b} children. Each child, like {n}, gets [blank].", "/"),
    ("For {b} tickets at {a} coins each, {n} pays [blank] coins.", "*"),
    ("Grandpa of {n} is {a}. When {b} years have passed, he will be [blank].", "+"),
    ("{n} cuts {b} metres off a rope of {c} metres; [blank] metres remain.", "-"),
    ("{c} people ride the bus with {n}. After {b} get off, [blank] still sit there.", "-"),
    ("{n} walks {a} steps to the {q}, then {b} more. That makes [blank] steps.", "+"),
    ("In the hall of the {q}, {b} rows with {a} chairs make [blank] seats for {n}.", "*"),
    ("{n} read {a} pages by day and {b} by night, so [blank] pages were read.", "+"),
    ("Out of {c} {o}, {b} are broken. {n} can still use [blank].", "-"),
    ("From a tank with {c} litres {n} lets {b} litres out, and [blank] litres stay in.", "-"),
    ("The team of {n} got {a} points, and with the last goal {b} more: [blank] points.", "+"),
    ("{n} keeps {m} {o} in {b} jars, the same in every jar. One jar holds [blank].", "/"),
    ("Every hour {n} sells {a} {o} at the {q}. After {b} hours [blank] are sold.", "*"),
)
_NAMES = [
    "Ana",
    "Ben",
    "Cleo",
    "Dan",
    "Ella",
    "Finn",
    "Greta",
    "Hugo",
    "Ida",
    "Jon",
    "Kaya",
    "Leo",
    "Mia",
    "Noah",
    "Olga",
    "Paul",
    "Rosa",
    "Sam",
    "Tara",
    "Viktor",
]
_PLACES = [
    "market",
    "beach",
    "museum",
    "harbour",
    "farm",
    "school",
    "castle",
    "zoo",
    "forest",
    "station",
    "mill",
    "bridge",
]
_POOLS = {
    "n": _NAMES,
    "f": [f"aunt {name}" for name in _NAMES],
    "o": [
        "marbles",
        "shells",
        "stamps",
        "pencils",
        "cards",
        "apples",
        "buttons",
        "coins",
        "stickers",
        "nuts",
        "balls",
        "plums",
        "cups",
    ],
    "p": _PLACES,
    "q": _PLACES,
    "d": ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"],
}
#: How many stories there are; no two are alike.
STORIES = 400
#: Two questions at least this similar (0 to 100) count as alike; the product's own limit is 85.
ALIKE = 84


@dataclass(frozen=True)
class Known:
    """A question with one ``[blank]``, what fills it, and three things that don't. ``number`` for stories."""

    subtopic: str
    question: str
    answer: str
    wrong: tuple[str, str, str]
    number: int | None = None

    @property
    def sentence(self) -> str:
        return self.question.replace("[blank]", self.answer)


def _facts() -> list[Known]:
    rows = [line.split("|") for line in _FACTS.strip().splitlines()]
    return [Known(row[0], row[1], row[2], (row[3], row[4], row[5])) for row in rows]


FACTS = _facts()
_BY_SUBTOPIC = {fact.subtopic.casefold(): fact for fact in FACTS}


def hashed(text: str) -> int:
    """A number drawn from a text, the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big")


def _worked_out(op: str, numbers: dict[str, int]) -> int:
    if op == "+":
        return numbers["a"] + numbers["b"]
    if op == "-":
        return numbers["c"] - numbers["b"]
    return numbers["a"] * numbers["b"] if op == "*" else numbers["m"] // numbers["b"]


def _told(index: int, draw: random.Random) -> Known:
    text, op = _STORIES[index % len(_STORIES)]
    text = f"{draw.choice(_SCENES.strip().replace(chr(10), '|').split('|'))} {text}"
    a, b = draw.randint(12, 60), draw.randint(2, 9)
    numbers = {"a": a, "b": b, "c": a + b, "m": a * b}
    number = _worked_out(op, numbers)
    question = text.format(**numbers, **{key: draw.choice(pool) for key, pool in _POOLS.items()})
    wrong = (str(number + 1), str(number - 2), str(number + 10))
    return Known(f"Number story {index}", question, str(number), wrong, number)


@cache
def stories() -> list[Known]:
    """All number stories, the same in every process."""
    draw = random.Random(7)
    told: list[Known] = []
    for index in range(STORIES):
        earlier = [one.question for one in told[index % len(_STORIES) :: len(_STORIES)]]
        candidates = (_told(index, draw) for _ in range(3000))
        told.append(
            next(one for one in candidates if all(fuzz.ratio(one.question, other) < ALIKE for other in earlier))
        )
    return told


def known(subtopic: str, mode: str) -> Known:
    """What the model asks about a subtopic: the fact or story of that name; about anything else a story that
    begins with the subtopic itself."""
    if named := re.fullmatch(r"Number story (\d+)", subtopic):
        return stories()[int(named[1]) % STORIES]
    fact = _BY_SUBTOPIC.get(subtopic.casefold())
    if fact and mode == "options":
        return fact
    told = stories()[hashed(subtopic) % STORIES]
    return replace(told, subtopic=subtopic, question=f"{subtopic}: {told.question}")


def subtopics(subject: str, mode: str, count: int) -> list[str]:
    """``count`` distinct subtopics; another subject begins elsewhere. Facts first, then stories."""
    start = hashed(subject)
    names = [FACTS[(start + at) % len(FACTS)].subtopic for at in range(len(FACTS))] if mode == "options" else []
    names += [f"Number story {(start + at) % STORIES}" for at in range(STORIES)]
    return names[:count]


@cache
def _by_question() -> dict[str, str]:
    return {one.question: one.answer for one in (*FACTS, *stories())}


def answer_to(question: str) -> str | None:
    """The right answer to a question, found by its words alone; none when the model does not know it."""
    return _by_question().get(question) or _by_question().get(question.partition(": ")[2])
