"""Scenes for word problems: division."""

from __future__ import annotations

from tasks.strategies.arithmetic.scene import ANY, BAKED, CROPS, KEPT, MADE, SIGHTS, SUPPLIES, WISHES, Scene

# A scene reads best with each sentence on a line of its own.
# fmt: off
DIVISION: tuple[Scene, ...] = (
    Scene("share", "/", (4, 150), (2, 12), ANY, "Equal shares ask to divide.", (
        "{name} shares {a} {it} fairly among {b} friends. Each friend gets [blank] {it}.",
        "{name} sorts {a} {it} into {b} equal piles. Each pile has [blank] {it}.",
    ), KEPT),
    Scene("pack", "/", (6, 900), (2, 30), ANY, "Equal groups ask to divide.", (
        "A baker packs {a} {it} into bags of {b}. The baker fills [blank] bags.",
    ), BAKED),
    Scene("set-up", "/", (6, 900), (2, 40), ANY, "Equal rows ask to divide.", (
        "{name}'s class sets up {a} {it} in {b} equal rows. Each row has [blank] {it}.",
        "{name} plants {a} tulips in {b} equal rows. There are [blank] tulips in each row.",
    ), ("chairs", "desks", "flags", "candles")),
    Scene("teams", "/", (4, 300), (2, 15), ANY, "Equal teams ask to divide.", (
        "At the {it} day in {place} {a} children form teams of {b}. They form [blank] teams.",
    ), ("sports", "chess", "robot", "soccer", "swimming", "music")),
    Scene("cost", "/", (4, 3000), (2, 60), (2, 90), "Equal prices ask to divide.", (
        "A group pays {a} dollars for {b} tickets to the {it}. All cost the same. One ticket costs [blank] dollars.",
    ), SIGHTS),
    Scene("reading", "/", (10, 900), (2, 60), (2, 120), "Equal parts ask to divide.", (
        "A book has {a} pages. {name} reads {b} pages every day. {He} needs [blank] days for the book.",
    )),
    Scene("ribbon", "/", (6, 300), (2, 25), (2, 40), "Equal pieces ask to divide.", (
        "{name} cuts {a} centimeters of ribbon into pieces of {b} centimeters. {He} gets [blank] pieces.",
    )),
    Scene("saving", "/", (6, 900), (2, 60), (2, 100), "Equal parts ask to divide.", (
        "{name} saves {b} dollars every week for a {it}. The price is {a} dollars. {He} must save for [blank] weeks.",
    ), WISHES),
    Scene("supplies", "/", (6, 900), (2, 40), ANY, "Equal groups ask to divide.", (
        "A school puts {a} {it} into boxes of {b}. It fills [blank] boxes.",
    ), SUPPLIES),
    Scene("crates", "/", (20, 99_000), (2, 99), ANY, "Equal groups ask to divide.", (
        "A farm packs {a} {it} into crates of {b}. It fills [blank] crates.",
    ), CROPS),
    Scene("machine", "/", (20, 99_000), (2, 99), ANY, "The same in every hour asks to divide.", (
        "In {b} hours a machine makes {a} {it}, the same number every hour. In one hour it makes [blank] {it}.",
    ), MADE),
    Scene("blocks", "/", (200, 99_000), (4, 99), (20, 5000), "Equal blocks ask to divide.", (
        "The stadium in {place} has {a} seats in {b} equal blocks. Each block has [blank] seats.",
    )),
    Scene("schools", "/", (20, 99_000), (2, 99), ANY, "Equal shares ask to divide.", (
        "The city of {place} shares {a} {it} equally among {b} schools. Each school gets [blank] {it}.",
    ), ("new books", "chairs", "pencils", "young plants", "sheets of paper")),
    Scene("shelves", "/", (40, 99_000), (5, 99), ANY, "Equal groups ask to divide.", (
        "A shop in {place} puts {a} {it} on shelves, {b} on each shelf. It fills [blank] shelves.",
    ), ("books", "cans", "jars", "games", "bottles")),
    Scene("shows", "/", (40, 99_000), (2, 99), (10, 3000), "The same for every show asks to divide.", (
        "For {b} shows the {it} in {place} sells {a} tickets, the same for each. For one show it sells [blank].",
    ), ("theater", "circus", "puppet stage", "opera", "ice show")),
    Scene("copies", "/", (40, 99_000), (2, 99), (8, 1200), "Equal copies ask to divide.", (
        "A printer needs {a} pages for {b} copies of one book on {it}. Each copy has [blank] pages.",
    ), ("planets", "cooking", "old trains", "birds", "chess", "whales", "bridges")),
)
# fmt: on
