"""Scenes for word problems: multiplication."""

from __future__ import annotations

from tasks.strategies.arithmetic.scene import ANY, BAKED, CROPS, KEPT, MADE, SIGHTS, SUPPLIES, Scene

# A scene reads best with each sentence on a line of its own.
# fmt: off
MULTIPLICATION: tuple[Scene, ...] = (
    Scene("bags", "*", (2, 30), (2, 20), ANY, "There are equal groups, so multiply.", (
        "{name} fills {a} bags with {b} {it} each. {He} needs [blank] {it}.",
        "{name} has {a} jars. There are {b} {it} in each jar. In all {he} has [blank] {it}.",
    ), KEPT),
    Scene("rows", "*", (2, 60), (2, 60), ANY, "There are equal rows, so multiply.", (
        "The hall in {place} has {a} rows of chairs with {b} chairs in each row. It has [blank] chairs in all.",
        "{name} plants {a} rows of beans with {b} plants in each row. {He} plants [blank] bean plants.",
        "A wall in {name}'s home has {a} rows of tiles with {b} tiles in each row. The wall has [blank] tiles.",
    )),
    Scene("tickets", "*", (2, 40), (2, 90), ANY, "Every ticket costs the same, so multiply.", (
        "A ticket for the {it} costs {b} dollars. A group buys {a} tickets and pays [blank] dollars.",
    ), SIGHTS),
    Scene("daily", "*", (2, 30), (2, 60), ANY, "Every day brings the same, so multiply.", (
        "{name} reads {b} pages every day. In {a} days {he} reads [blank] pages.",
        "{name} learns {b} new words a day. After {a} days {he} knows [blank] new words.",
    )),
    Scene("boxes", "*", (2, 99), (2, 99), ANY, "Every box holds the same, so multiply.", (
        "A school buys {a} boxes of {it}. Each box holds {b}. The school gets [blank] {it}.",
    ), SUPPLIES),
    Scene("trays", "*", (2, 60), (2, 60), ANY, "Every tray holds the same, so multiply.", (
        "A baker fills {a} trays with {b} {it} each. The baker makes [blank] {it}.",
    ), BAKED),
    Scene("savings", "*", (2, 52), (2, 60), ANY, "Every week brings the same, so multiply.", (
        "{name} saves {b} dollars every week. After {a} weeks {he} has saved [blank] dollars.",
        "{name} pays {b} dollars a week for {it}. In {a} weeks {he} pays [blank] dollars.",
    ), ("piano lessons", "judo class", "the bus", "swimming", "school lunch", "dance class")),
    Scene("teams", "*", (2, 30), (2, 15), ANY, "Every team is the same size, so multiply.", (
        "At the {it} day in {place} there are {a} teams of {b} children. So [blank] children take part.",
    ), ("sports", "chess", "robot", "soccer", "swimming", "music")),
    Scene("buses", "*", (2, 40), (8, 80), ANY, "Every bus carries the same, so multiply.", (
        "The trip to {place} needs {a} full buses. Each bus carries {b} people. So [blank] people go on the trip.",
    )),
    Scene("machine", "*", (10, 999), (2, 99), ANY, "Every hour brings the same, so multiply.", (
        "A machine makes {a} {it} in an hour. In {b} hours it makes [blank] {it}.",
    ), MADE),
    Scene("blocks", "*", (50, 999), (4, 99), ANY, "Every block is the same size, so multiply.", (
        "The stadium in {place} has {b} blocks with {a} seats in each block. It has [blank] seats.",
    )),
    Scene("tower", "*", (10, 200), (3, 99), ANY, "Every floor is the same, so multiply.", (
        "A tower in {place} has {b} floors with {a} {it} on each floor. It has [blank] {it}.",
    ), ("windows", "lamps", "desks", "chairs", "wall tiles")),
    Scene("crates", "*", (10, 300), (2, 99), ANY, "Every crate holds the same, so multiply.", (
        "A farm fills {b} crates with {a} {it} each. It packs [blank] {it}.",
    ), CROPS),
    Scene("copies", "*", (20, 999), (2, 99), ANY, "Every copy has the same pages, so multiply.", (
        "A printer makes {b} copies of a book on {it}. Each has {a} pages. The printer makes [blank] pages in all.",
    ), ("planets", "cooking", "old trains", "birds", "chess", "whales", "bridges")),
    Scene("shows", "*", (20, 999), (2, 99), ANY, "Every show brings the same, so multiply.", (
        "The {it} in {place} sells {a} tickets for each show. After {b} shows it has sold [blank] tickets.",
    ), ("theater", "circus", "puppet stage", "opera", "ice show")),
    Scene("schools", "*", (20, 999), (2, 99), ANY, "Every school gets the same, so multiply.", (
        "The city of {place} buys {a} {it} for each of its {b} schools. It buys [blank] {it}.",
    ), ("new books", "chairs", "pencils", "young plants", "sheets of paper")),
    Scene("flights", "*", (40, 600), (2, 99), ANY, "Every flight carries the same, so multiply.", (
        "A plane to {place} carries {a} people on each flight. On {b} full flights it carries [blank] people.",
    )),
)
# fmt: on
