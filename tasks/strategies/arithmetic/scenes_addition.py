"""Scenes for word problems: addition."""

from __future__ import annotations

from tasks.strategies.arithmetic.scene import ANY, FRUIT, KEPT, MADE, SIGHTS, Scene

# A scene reads best with each sentence on a line of its own.
# fmt: off
ADDITION: tuple[Scene, ...] = (
    Scene("gift", "+", (2, 150), (2, 150), ANY, "More come in, so add.", (
        "{name} has {a} {it}. {other} gives {him} {b} more. Now {he} has [blank] {it}.",
        "There are {a} {it} in a box. {name} finds {b} more and puts them in. Now the box holds [blank] {it}.",
    ), KEPT),
    Scene("together", "+", (2, 200), (2, 200), ANY, "Two amounts come together, so add.", (
        "{name} has {a} {it} and {other} has {b}. Together they have [blank] {it}.",
        "At home {name} keeps {a} {it}. At school {he} keeps {b}. In all {he} has [blank] {it}.",
    ), KEPT),
    Scene("get-on", "+", (10, 400), (2, 200), ANY, "More people get on, so add.", (
        "A {it} starts with {a} people. At the next stop {b} get on and none get off. Now it carries [blank] people.",
    ), ("train", "ferry", "tram")),
    Scene("harvest", "+", (3, 400), (3, 400), ANY, "Two amounts come together, so add.", (
        "{name} picks {a} {it} in the morning and {b} in the afternoon. That day {he} picks [blank] {it}.",
        "One tree gives {a} {it}, and another tree gives {b}. Both trees together give [blank] {it}.",
    ), FRUIT),
    Scene("drive", "+", (5, 2000), (5, 2000), ANY, "Both parts of the way count, so add.", (
        "A {it} goes {a} kilometers on Monday and {b} on Tuesday. In the two days it goes [blank] kilometers.",
    ), ("truck", "bus", "delivery van", "ship", "camper van")),
    Scene("price", "+", (5, 250), (5, 250), ANY, "Both prices are paid, so add.", (
        "{name} buys a coat for {a} dollars and boots for {b} dollars. {He} pays [blank] dollars.",
        "A lamp costs {a} dollars. A chair costs {b} dollars. {name} buys both and pays [blank] dollars.",
        "Fixing the brakes costs {a} dollars, and new tires cost {b} dollars. {name} pays [blank] dollars in all.",
    )),
    Scene("read", "+", (5, 400), (5, 400), ANY, "The read pages and the other pages make the book, so add.", (
        "{name} has read {a} pages of a book. There are {b} pages still to read. The book has [blank] pages.",
    )),
    Scene("points", "+", (5, 5000), (5, 5000), ANY, "The points of both rounds count, so add.", (
        "{name} scores {a} points in round one of a game and {b} in round two. {His} score is now [blank] points.",
        "In a quiz, {name} wins {a} points and {other} wins {b} for the same team. The team has [blank] points.",
    )),
    Scene("steps", "+", (300, 20_000), (300, 20_000), ANY, "Both walks count, so add.", (
        "{name} walks {a} steps before lunch and {b} steps after lunch. That day {he} walks [blank] steps.",
    )),
    Scene("visits", "+", (20, 90_000), (20, 90_000), ANY, "Both amounts count, so add.", (
        "On Saturday {a} people visit the {it}. On Sunday {b} people come. In the two days it has [blank] visitors.",
        "The {it} in {place} sells {a} tickets in May and {b} in June. In both months it sells [blank] tickets.",
    ), SIGHTS),
    Scene("books", "+", (50, 90_000), (50, 90_000), ANY, "Both kinds count, so add.", (
        "The library in {place} has {a} books for adults and {b} books for children. It has [blank] books in all.",
        "The museum in {place} keeps {a} old letters and {b} old photos. That makes [blank] letters and photos.",
        "A web page on {it} gets {a} visits in one year and {b} in the next. So far it has had [blank] visits.",
    ), ("planets", "cooking", "old trains", "birds", "chess", "gardening", "whales", "drumming", "bridges")),
    Scene("towns", "+", (200, 90_000), (200, 90_000), ANY, "Both places count, so add.", (
        "{place} has {a} people. The next town, {place2}, has {b}. Together the two towns have [blank] people.",
        "In the north of {place} {a} people vote. In the south {b} people vote. In all, [blank] people vote.",
        "A two-day fest in {place} draws {a} people on one day and {b} on the other. That makes [blank] people.",
    )),
    Scene("output", "+", (50, 90_000), (50, 90_000), ANY, "Both amounts count, so add.", (
        "A factory makes {a} {it} in one week and {b} in the next. In the two weeks it makes [blank] {it}.",
        "A shop orders {a} {it} in spring and {b} {it} in the fall. It orders [blank] {it} in all.",
    ), MADE),
    Scene("trees", "+", (30, 90_000), (30, 90_000), ANY, "All the trees count, so add.", (
        "The forest near {place} has {a} {it} trees and {b} other trees. That makes [blank] trees.",
        "In {place} workers plant {a} young {it} trees in spring and {b} in the fall. In all they plant [blank].",
    ), ("oak", "pine", "beech", "maple", "birch", "cedar", "olive", "willow")),
    Scene("mail", "+", (30, 90_000), (30, 90_000), ANY, "The mail of both days counts, so add.", (
        "The post office in {place} sorts {a} {it} on Monday and {b} on Tuesday. In all it sorts [blank] {it}.",
    ), ("letters", "parcels", "postcards", "small packets", "magazines")),
)
# fmt: on
