"""Scenes for word problems: subtraction."""

from __future__ import annotations

from tasks.strategies.arithmetic.scene import ANY, KEPT, MADE, SNACKS, WISHES, Scene

# A scene reads best with each sentence on a line of its own.
# fmt: off
SUBTRACTION: tuple[Scene, ...] = (
    Scene("give", "-", (5, 150), (2, 140), ANY, "Some are given away, so subtract.", (
        "{name} has {a} {it} and gives {b} away. Now {he} has [blank] {it}.",
        "{name} gives {other} {b} of {his} {a} {it}. {He} keeps [blank] {it}.",
    ), KEPT),
    Scene("eat", "-", (5, 90), (2, 80), ANY, "Some are eaten, so subtract.", (
        "There are {a} {it} on a long table. The guests eat {b} of them. Now [blank] {it} are left.",
        "{name} makes {a} {it} for a party, and {b} of them get eaten. After the party [blank] {it} are left.",
    ), SNACKS),
    Scene("get-off", "-", (10, 500), (2, 400), ANY, "People get off, so subtract.", (
        "A {it} carries {a} people. At the next stop {b} get off and none get on. Now it carries [blank] people.",
    ), ("train", "ferry", "tram")),
    Scene("compare", "-", (4, 300), (2, 300), ANY, "The question is how many more, so subtract.", (
        "{name} has {a} {it}. {other} has {b}. So {name} has [blank] more {it} than {other}.",
        "For a big picture {name} needs {a} {it}. {He} has only {b}. {He} still needs [blank] {it}.",
    ), KEPT),
    Scene("pages", "-", (12, 900), (2, 880), ANY, "Some pages are done, so subtract.", (
        "A book has {a} pages. {name} has read {b} of them. There are still [blank] pages to read.",
    )),
    Scene("spend", "-", (10, 900), (2, 880), ANY, "The price is taken from the money, so subtract.", (
        "{name} has {a} dollars and spends {b} dollars on {it}. {He} has [blank] dollars left.",
    ), ("presents", "books", "new shoes", "paint", "food", "tools", "plants")),
    Scene("save-up", "-", (20, 900), (2, 880), ANY, "The question is how much is missing, so subtract.", (
        "A {it} costs {a} dollars. {name} has saved {b} dollars for it. {He} still needs [blank] dollars.",
    ), WISHES),
    Scene("trip", "-", (20, 3000), (3, 2900), ANY, "Part of the way is done, so subtract.", (
        "A trip is {a} kilometers long. The {it} stops after {b} kilometers. There are [blank] kilometers to go.",
    ), ("bus", "truck driver", "family", "ship", "cyclist")),
    Scene("seats", "-", (30, 3000), (5, 2990), ANY, "Some seats are taken, so subtract.", (
        "A {it} has {a} seats. Tonight {b} of them are taken. So [blank] seats are free.",
    ), ("theater", "concert hall", "movie house", "circus tent")),
    Scene("stadium", "-", (3000, 90_000), (500, 90_000), ANY, "Some seats are taken, so subtract.", (
        "The stadium in {place} has {a} seats. Today {b} of them are sold. So [blank] seats are left to sell.",
        "For a concert in {place} there are {a} tickets. On day one {b} are sold. Then [blank] tickets are left.",
    )),
    Scene("peaks", "-", (300, 8800), (100, 8700), ANY, "The question is how much higher, so subtract.", (
        "One mountain is {a} meters high. Another is {b} meters high. The first is [blank] meters higher.",
        "{name} climbs a peak of {a} meters. {other} climbs one of {b} meters. {name} gets [blank] meters higher.",
    )),
    Scene("loans", "-", (100, 90_000), (10, 89_000), ANY, "The question is what is left or missing, so subtract.", (
        "The library in {place} owns {a} books. Today {b} of them are lent out. So [blank] books are in the library.",
        "A game club in {place} hopes for {a} points this year. By June it has {b}. It still needs [blank] points.",
    )),
    Scene("order", "-", (100, 90_000), (20, 89_000), ANY, "Some are made already, so subtract.", (
        "A factory must make {a} {it}. So far it has made {b}. It still has to make [blank] {it}.",
    ), MADE),
    Scene("stock", "-", (100, 90_000), (20, 89_000), ANY, "Some are sold, so subtract.", (
        "A store in {place} has {a} {it}. It sells {b} of them in a month. Then [blank] {it} are left.",
    ), MADE),
    Scene("people", "-", (500, 90_000), (100, 89_000), ANY, "The question is how many more, so subtract.", (
        "{place} has {a} people. {place2} has {b} people. So {place} has [blank] more people than {place2}.",
        "This year {a} people came to the fair in {place}. Last year {b} came. This year [blank] more people came.",
    )),
    Scene("storm", "-", (60, 90_000), (5, 89_000), ANY, "Some trees fall, so subtract.", (
        "The forest near {place} has {a} {it} trees. A storm brings down {b}. Then [blank] {it} trees still stand.",
    ), ("oak", "pine", "beech", "maple", "birch", "cedar", "spruce", "willow")),
    Scene("tank", "-", (40, 90_000), (5, 89_000), ANY, "Some of it is used up, so subtract.", (
        "A tank holds {a} liters of {it}. {name} uses {b} liters. Now the tank holds [blank] liters of {it}.",
    ), ("water", "milk", "oil", "rain water", "fuel")),
)
# fmt: on
