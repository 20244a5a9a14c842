"""The situations word problems are told in. A scene fits any numbers within its bounds; both numbers and the result
are at least 2, so every noun stands in the plural.

In the texts: ``{name}`` and ``{other}`` are two people, ``{he} {He} {him} {his} {His}`` speak of the first, ``{it}`` is one
of the words of ``its``, ``{place}`` and ``{place2}`` are made-up towns, ``{a}`` and ``{b}`` are the numbers.
"""

from __future__ import annotations

from dataclasses import dataclass

from tasks.strategies.arithmetic_sums import Op, Sum

Bounds = tuple[int, int]


@dataclass(frozen=True)
class Scene:
    """``why`` says which operation the situation asks for. ``below_zero``: told only with numbers below zero."""

    id: str
    op: Op
    a: Bounds
    b: Bounds
    result: Bounds
    why: str
    texts: tuple[str, ...]
    its: tuple[str, ...] = ("",)
    below_zero: bool = False

    def fits(self, one: Sum) -> bool:
        bounded = ((one.a, self.a), (one.b, self.b), (one.result, self.result))
        return (
            one.op == self.op
            and one.below_zero == self.below_zero
            and all(low <= number <= high for number, (low, high) in bounded)
        )


_KEPT = ("shells", "stickers", "marbles", "buttons", "postcards", "stamps", "beads", "pebbles", "feathers", "coins")
_FRUIT = ("apples", "plums", "lemons", "figs", "cherries", "oranges", "peaches", "pears", "limes", "mangoes")
_SNACKS = ("dumplings", "samosas", "sandwiches", "cookies", "spring rolls", "pancakes", "pies", "tarts")
_BAKED = ("rolls", "muffins", "bagels", "pretzels", "buns", "flatbreads", "scones")
_MADE = ("bricks", "tiles", "bottles", "pencils", "light bulbs", "cups", "toy cars", "spoons", "candles", "plates")
_SUPPLIES = ("pencils", "crayons", "markers", "erasers", "paper clips", "notebooks", "paint brushes")
_SIGHTS = ("zoo", "museum", "water park", "castle", "science fair", "circus", "planetarium")
_CROPS = ("apples", "melons", "potatoes", "onions", "oranges", "carrots", "tomatoes", "lemons")
_WISHES = ("bike", "camera", "guitar", "tent", "drum", "telescope", "scooter", "skateboard")
_ANY: Bounds = (2, 1_000_000_000)
_BELOW: Bounds = (-1_000_000, -2)

_ADDITION = (
    Scene("gift", "+", (2, 150), (2, 150), _ANY, "More come in, so add.", (
        "{name} has {a} {it}. {other} gives {him} {b} more. Now {he} has [blank] {it}.",
        "There are {a} {it} in a box. {name} finds {b} more and puts them in. Now the box holds [blank] {it}.",
    ), _KEPT),
    Scene("together", "+", (2, 200), (2, 200), _ANY, "Two amounts come together, so add.", (
        "{name} has {a} {it} and {other} has {b}. Together they have [blank] {it}.",
        "At home {name} keeps {a} {it}. At school {he} keeps {b}. In all {he} has [blank] {it}.",
    ), _KEPT),
    Scene("get-on", "+", (10, 400), (2, 200), _ANY, "More people get on, so add.", (
        "A {it} starts with {a} people. At the next stop {b} get on, and nobody gets off. Now [blank] people ride the {it}.",
    ), ("train", "ferry", "tram")),
    Scene("harvest", "+", (3, 400), (3, 400), _ANY, "Two amounts come together, so add.", (
        "{name} picks {a} {it} in the morning and {b} in the afternoon. That day {he} picks [blank] {it}.",
        "One tree gives {a} {it}, and another tree gives {b}. Both trees together give [blank] {it}.",
    ), _FRUIT),
    Scene("drive", "+", (5, 2000), (5, 2000), _ANY, "Both parts of the way count, so add.", (
        "A {it} goes {a} kilometers on Monday and {b} kilometers on Tuesday. In the two days it goes [blank] kilometers.",
    ), ("truck", "bus", "delivery van", "ship", "camper van")),
    Scene("price", "+", (5, 250), (5, 250), _ANY, "Both prices are paid, so add.", (
        "{name} buys a coat for {a} dollars and boots for {b} dollars. {He} pays [blank] dollars.",
        "A lamp costs {a} dollars. A chair costs {b} dollars. {name} buys both and pays [blank] dollars.",
        "Fixing the brakes costs {a} dollars, and new tires cost {b} dollars. {name} pays [blank] dollars in all.",
    )),
    Scene("read", "+", (5, 400), (5, 400), _ANY, "The read pages and the other pages make the book, so add.", (
        "{name} has read {a} pages of a book. There are {b} pages still to read. The book has [blank] pages.",
    )),
    Scene("points", "+", (5, 5000), (5, 5000), _ANY, "The points of both rounds count, so add.", (
        "{name} scores {a} points in round one of a game and {b} points in round two. {His} score is now [blank] points.",
        "In a quiz, {name} wins {a} points and {other} wins {b} points for the same team. The team has [blank] points.",
    )),
    Scene("steps", "+", (300, 20_000), (300, 20_000), _ANY, "Both walks count, so add.", (
        "{name} walks {a} steps before lunch and {b} steps after lunch. That day {he} walks [blank] steps.",
    )),
    Scene("visits", "+", (20, 90_000), (20, 90_000), _ANY, "Both amounts count, so add.", (
        "On Saturday {a} people visit the {it}. On Sunday {b} people visit it. In the two days it has [blank] visitors.",
        "The {it} in {place} sells {a} tickets in May and {b} tickets in June. In both months it sells [blank] tickets.",
    ), _SIGHTS),
    Scene("books", "+", (50, 90_000), (50, 90_000), _ANY, "Both kinds count, so add.", (
        "The library in {place} has {a} books for adults and {b} books for children. It has [blank] books in all.",
        "The museum in {place} keeps {a} letters and {b} photos from long ago. That makes [blank] letters and photos.",
        "A web page on {it} gets {a} visits in its first year and {b} in the next. So far it has had [blank] visits.",
    ), ("planets", "cooking", "old trains", "birds", "chess", "gardening", "whales", "drumming", "bridges")),
    Scene("towns", "+", (200, 90_000), (200, 90_000), _ANY, "Both places count, so add.", (
        "{place} has {a} people. The next town, {place2}, has {b} people. Together the two towns have [blank] people.",
        "In the north of {place} {a} people vote. In the south {b} people vote. In all, [blank] people vote.",
        "A music fest in {place} draws {a} people on its first day and {b} on its last. That makes [blank] people.",
    )),
    Scene("output", "+", (50, 90_000), (50, 90_000), _ANY, "Both amounts count, so add.", (
        "A factory makes {a} {it} in one week and {b} in the next. In the two weeks it makes [blank] {it}.",
        "A shop orders {a} {it} in spring and {b} {it} in the fall. It orders [blank] {it} in all.",
    ), _MADE),
    Scene("trees", "+", (30, 90_000), (30, 90_000), _ANY, "All the trees count, so add.", (
        "The forest near {place} has {a} {it} trees and {b} other trees. That makes [blank] trees.",
        "In {place} workers plant {a} young {it} trees in spring and {b} in the fall. In all they plant [blank] trees.",
    ), ("oak", "pine", "beech", "maple", "birch", "cedar", "olive", "willow")),
    Scene("mail", "+", (30, 90_000), (30, 90_000), _ANY, "The mail of both days counts, so add.", (
        "The post office in {place} sorts {a} {it} on Monday and {b} on Tuesday. In these two days it sorts [blank] {it}.",
    ), ("letters", "parcels", "postcards", "small packets", "magazines")),
)  # fmt: skip

_SUBTRACTION = (
    Scene("give", "-", (5, 150), (2, 140), _ANY, "Some are given away, so subtract.", (
        "{name} has {a} {it} and gives {b} away. Now {he} has [blank] {it}.",
        "{name} gives {other} {b} of {his} {a} {it}. {He} keeps [blank] {it}.",
    ), _KEPT),
    Scene("eat", "-", (5, 90), (2, 80), _ANY, "Some are eaten, so subtract.", (
        "There are {a} {it} on a long table. The guests eat {b} of them. Now [blank] {it} are left.",
        "{name} makes {a} {it} for a party, and {b} of them get eaten. After the party [blank] {it} are left.",
    ), _SNACKS),
    Scene("get-off", "-", (10, 500), (2, 400), _ANY, "People get off, so subtract.", (
        "A {it} carries {a} people. At the next stop {b} get off, and nobody gets on. Now [blank] people ride the {it}.",
    ), ("train", "ferry", "tram")),
    Scene("compare", "-", (4, 300), (2, 300), _ANY, "The question is how many more, so subtract.", (
        "{name} has {a} {it}. {other} has {b}. So {name} has [blank] more {it} than {other}.",
        "For a big picture {name} needs {a} {it}. {He} has only {b}. {He} still needs [blank] {it}.",
    ), _KEPT),
    Scene("pages", "-", (12, 900), (2, 880), _ANY, "Some pages are done, so subtract.", (
        "A book has {a} pages. {name} has read {b} of them. There are still [blank] pages to read.",
    )),
    Scene("spend", "-", (10, 900), (2, 880), _ANY, "The price is taken from the money, so subtract.", (
        "{name} has {a} dollars and spends {b} dollars on {it}. {He} has [blank] dollars left.",
    ), ("presents", "books", "new shoes", "paint", "food", "tools", "plants")),
    Scene("save-up", "-", (20, 900), (2, 880), _ANY, "The question is how much is missing, so subtract.", (
        "A {it} costs {a} dollars. {name} has saved {b} dollars for it. {He} still needs [blank] dollars.",
    ), _WISHES),
    Scene("trip", "-", (20, 3000), (3, 2900), _ANY, "Part of the way is done, so subtract.", (
        "A trip is {a} kilometers long. After {b} kilometers the {it} makes a stop. There are still [blank] kilometers to go.",
    ), ("bus", "truck driver", "family", "ship", "cyclist")),
    Scene("seats", "-", (30, 3000), (5, 2990), _ANY, "Some seats are taken, so subtract.", (
        "A {it} has {a} seats. Tonight {b} of them are taken. So [blank] seats are free.",
    ), ("theater", "concert hall", "movie house", "circus tent")),
    Scene("stadium", "-", (3000, 90_000), (500, 90_000), _ANY, "Some seats are taken, so subtract.", (
        "The stadium in {place} has {a} seats. For today's game {b} of them are sold. There are [blank] seats left to sell.",
        "For a concert in {place} there are {a} tickets. On the first day {b} are sold. Then [blank] tickets are left.",
    )),
    Scene("peaks", "-", (300, 8800), (100, 8700), _ANY, "The question is how much higher, so subtract.", (
        "One mountain is {a} meters high. Another is {b} meters high. The first is [blank] meters higher.",
        "{name} climbs a peak of {a} meters. {other} climbs one of {b} meters. {name} gets [blank] meters higher.",
    )),
    Scene("loans", "-", (100, 90_000), (10, 89_000), _ANY, "The question is what is left or missing, so subtract.", (
        "The library in {place} owns {a} books. Today {b} of them are lent out. So [blank] books are in the library.",
        "A game club in {place} hopes for {a} points this year. By June it has {b}. It still needs [blank] points.",
    )),
    Scene("order", "-", (100, 90_000), (20, 89_000), _ANY, "Some are made already, so subtract.", (
        "A factory must make {a} {it}. So far it has made {b}. It still has to make [blank] {it}.",
    ), _MADE),
    Scene("stock", "-", (100, 90_000), (20, 89_000), _ANY, "Some are sold, so subtract.", (
        "A store in {place} has {a} {it}. It sells {b} of them in a month. Then [blank] {it} are left.",
    ), _MADE),
    Scene("people", "-", (500, 90_000), (100, 89_000), _ANY, "The question is how many more, so subtract.", (
        "{place} has {a} people. {place2} has {b} people. So {place} has [blank] more people than {place2}.",
        "This year {a} people came to the fair in {place}. Last year {b} came. This year [blank] more people came.",
    )),
    Scene("storm", "-", (60, 90_000), (5, 89_000), _ANY, "Some trees fall, so subtract.", (
        "The forest near {place} has {a} {it} trees. A storm brings down {b}. Then [blank] {it} trees still stand.",
    ), ("oak", "pine", "beech", "maple", "birch", "cedar", "spruce", "willow")),
    Scene("tank", "-", (40, 90_000), (5, 89_000), _ANY, "Water is used up, so subtract.", (
        "A tank holds {a} liters of {it}. {name} uses {b} liters. Now the tank holds [blank] liters of {it}.",
    ), ("water", "milk", "oil", "rain water", "fuel")),
)  # fmt: skip

_MULTIPLICATION = (
    Scene("bags", "*", (2, 30), (2, 20), _ANY, "There are equal groups, so multiply.", (
        "{name} fills {a} bags with {b} {it} each. {He} needs [blank] {it}.",
        "{name} has {a} jars. There are {b} {it} in each jar. In all {he} has [blank] {it}.",
    ), _KEPT),
    Scene("rows", "*", (2, 60), (2, 60), _ANY, "There are equal rows, so multiply.", (
        "The hall in {place} has {a} rows of chairs with {b} chairs in each row. It has [blank] chairs in all.",
        "{name} plants {a} rows of beans with {b} plants in each row. {He} plants [blank] bean plants.",
        "A wall in {name}'s home has {a} rows of tiles with {b} tiles in each row. The wall has [blank] tiles.",
    )),
    Scene("tickets", "*", (2, 40), (2, 90), _ANY, "Every ticket costs the same, so multiply.", (
        "A ticket for the {it} costs {b} dollars. A group buys {a} tickets and pays [blank] dollars.",
    ), _SIGHTS),
    Scene("daily", "*", (2, 30), (2, 60), _ANY, "Every day brings the same, so multiply.", (
        "{name} reads {b} pages every day. In {a} days {he} reads [blank] pages.",
        "{name} learns {b} new words a day. After {a} days {he} knows [blank] new words.",
    )),
    Scene("boxes", "*", (2, 99), (2, 99), _ANY, "Every box holds the same, so multiply.", (
        "A school buys {a} boxes of {it}. Each box holds {b}. The school gets [blank] {it}.",
    ), _SUPPLIES),
    Scene("trays", "*", (2, 60), (2, 60), _ANY, "Every tray holds the same, so multiply.", (
        "A baker fills {a} trays with {b} {it} each. The baker makes [blank] {it}.",
    ), _BAKED),
    Scene("savings", "*", (2, 52), (2, 60), _ANY, "Every week brings the same, so multiply.", (
        "{name} saves {b} dollars every week. After {a} weeks {he} has saved [blank] dollars.",
        "{name} pays {b} dollars a week for {it}. In {a} weeks {he} pays [blank] dollars.",
    ), ("piano lessons", "judo class", "the bus", "swimming", "school lunch", "dance class")),
    Scene("teams", "*", (2, 30), (2, 15), _ANY, "Every team is the same size, so multiply.", (
        "At the {it} day in {place} there are {a} teams of {b} children. So [blank] children take part.",
    ), ("sports", "chess", "robot", "soccer", "swimming", "music")),
    Scene("buses", "*", (2, 40), (8, 80), _ANY, "Every bus carries the same, so multiply.", (
        "The trip to {place} needs {a} full buses. Each bus carries {b} people. So [blank] people go on the trip.",
    )),
    Scene("machine", "*", (10, 999), (2, 99), _ANY, "Every hour brings the same, so multiply.", (
        "A machine makes {a} {it} in an hour. In {b} hours it makes [blank] {it}.",
    ), _MADE),
    Scene("blocks", "*", (50, 999), (4, 99), _ANY, "Every block is the same size, so multiply.", (
        "The stadium in {place} has {b} blocks with {a} seats in each block. It has [blank] seats.",
    )),
    Scene("tower", "*", (10, 200), (3, 99), _ANY, "Every floor is the same, so multiply.", (
        "A tower in {place} has {b} floors with {a} {it} on each floor. It has [blank] {it}.",
    ), ("windows", "lamps", "desks", "chairs", "wall tiles")),
    Scene("crates", "*", (10, 300), (2, 99), _ANY, "Every crate holds the same, so multiply.", (
        "A farm fills {b} crates with {a} {it} each. It packs [blank] {it}.",
    ), _CROPS),
    Scene("copies", "*", (20, 999), (2, 99), _ANY, "Every copy has the same pages, so multiply.", (
        "A printer makes {b} copies of a book on {it}. Each copy has {a} pages. It prints [blank] pages in all.",
    ), ("planets", "cooking", "old trains", "birds", "chess", "whales", "bridges")),
    Scene("shows", "*", (20, 999), (2, 99), _ANY, "Every show brings the same, so multiply.", (
        "The {it} in {place} sells {a} tickets for each show. After {b} shows it has sold [blank] tickets.",
    ), ("theater", "circus", "puppet stage", "opera", "ice show")),
    Scene("schools", "*", (20, 999), (2, 99), _ANY, "Every school gets the same, so multiply.", (
        "The city of {place} buys {a} {it} for each of its {b} schools. It buys [blank] {it}.",
    ), ("new books", "chairs", "pencils", "young plants", "sheets of paper")),
    Scene("flights", "*", (40, 600), (2, 99), _ANY, "Every flight carries the same, so multiply.", (
        "A plane to {place} carries {a} people on each flight. On {b} full flights it carries [blank] people.",
    )),
)  # fmt: skip

_DIVISION = (
    Scene("share", "/", (4, 150), (2, 12), _ANY, "Equal shares ask to divide.", (
        "{name} shares {a} {it} fairly among {b} friends. Each friend gets [blank] {it}.",
        "{name} sorts {a} {it} into {b} equal piles. Each pile has [blank] {it}.",
    ), _KEPT),
    Scene("pack", "/", (6, 900), (2, 30), _ANY, "Equal groups ask to divide.", (
        "A baker packs {a} {it} into bags of {b}. The baker fills [blank] bags.",
    ), _BAKED),
    Scene("set-up", "/", (6, 900), (2, 40), _ANY, "Equal rows ask to divide.", (
        "{name}'s class sets up {a} {it} in {b} equal rows. Each row has [blank] {it}.",
        "{name} plants {a} tulips in {b} equal rows. There are [blank] tulips in each row.",
    ), ("chairs", "desks", "flags", "candles")),
    Scene("teams", "/", (4, 300), (2, 15), _ANY, "Equal teams ask to divide.", (
        "At the {it} day in {place} {a} children form teams of {b}. They form [blank] teams.",
    ), ("sports", "chess", "robot", "soccer", "swimming", "music")),
    Scene("cost", "/", (4, 3000), (2, 60), (2, 90), "Equal prices ask to divide.", (
        "A group pays {a} dollars for {b} tickets to the {it}. All tickets cost the same. One ticket costs [blank] dollars.",
    ), _SIGHTS),
    Scene("reading", "/", (10, 900), (2, 60), (2, 120), "Equal parts ask to divide.", (
        "A book has {a} pages. {name} reads {b} pages every day. {He} needs [blank] days for the book.",
    )),
    Scene("ribbon", "/", (6, 300), (2, 25), (2, 40), "Equal pieces ask to divide.", (
        "{name} cuts {a} centimeters of ribbon into pieces of {b} centimeters. {He} gets [blank] pieces.",
    )),
    Scene("saving", "/", (6, 900), (2, 60), (2, 100), "Equal parts ask to divide.", (
        "{name} saves {b} dollars every week for a {it}. The price is {a} dollars. {He} must save for [blank] weeks.",
    ), _WISHES),
    Scene("supplies", "/", (6, 900), (2, 40), _ANY, "Equal groups ask to divide.", (
        "A school puts {a} {it} into boxes of {b}. It fills [blank] boxes.",
    ), _SUPPLIES),
    Scene("crates", "/", (20, 99_000), (2, 99), _ANY, "Equal groups ask to divide.", (
        "A farm packs {a} {it} into crates of {b}. It fills [blank] crates.",
    ), _CROPS),
    Scene("machine", "/", (20, 99_000), (2, 99), _ANY, "The same in every hour asks to divide.", (
        "In {b} hours a machine makes {a} {it}, the same number every hour. In one hour it makes [blank] {it}.",
    ), _MADE),
    Scene("blocks", "/", (200, 99_000), (4, 99), (20, 5000), "Equal blocks ask to divide.", (
        "The stadium in {place} has {a} seats in {b} equal blocks. Each block has [blank] seats.",
    )),
    Scene("schools", "/", (20, 99_000), (2, 99), _ANY, "Equal shares ask to divide.", (
        "The city of {place} shares {a} {it} equally among {b} schools. Each school gets [blank] {it}.",
    ), ("new books", "chairs", "pencils", "young plants", "sheets of paper")),
    Scene("shelves", "/", (40, 99_000), (5, 99), _ANY, "Equal groups ask to divide.", (
        "A shop in {place} puts {a} {it} on shelves, {b} on each shelf. It fills [blank] shelves.",
    ), ("books", "cans", "jars", "games", "bottles")),
    Scene("shows", "/", (40, 99_000), (2, 99), (10, 3000), "The same for every show asks to divide.", (
        "For {b} shows the {it} in {place} sells {a} tickets, the same number for each. For one show it sells [blank].",
    ), ("theater", "circus", "puppet stage", "opera", "ice show")),
    Scene("copies", "/", (40, 99_000), (2, 99), (8, 1200), "Equal copies ask to divide.", (
        "A printer needs {a} pages for {b} copies of one book on {it}. Each copy has [blank] pages.",
    ), ("planets", "cooking", "old trains", "birds", "chess", "whales", "bridges")),
)  # fmt: skip

_NUMBER_LINE = (
    Scene("warmer", "+", (-40, -1), (2, 45), (-40, 45), "It gets warmer, so add.", (
        "In the morning it is {a} °C. By noon it is {b} degrees warmer. At noon it is [blank] °C.",
    ), below_zero=True),
    Scene("pay-in", "+", (-20_000, -5), (5, 20_000), (-20_000, 20_000), "Money comes in, so add.", (
        "The account of a club shows {a} dollars. {name} pays in {b} dollars. Now it shows [blank] dollars.",
    ), below_zero=True),
    Scene("rise", "+", (-900, -4), (2, 890), (-890, -2), "It rises, so add.", (
        "A {it} is at {a} meters, below the sea. It rises {b} meters. Now it is at [blank] meters.",
    ), ("submarine", "diving robot", "whale"), below_zero=True),
    Scene("colder", "-", (-30, 40), (2, 45), (-45, -1), "It gets colder, so subtract.", (
        "In the evening it is {a} °C. In the night it gets {b} degrees colder. Then it is [blank] °C.",
    ), below_zero=True),
    Scene("bill", "-", (-20_000, 20_000), (5, 20_000), (-20_000, -2), "Money goes out, so subtract.", (
        "The account of a club shows {a} dollars. {name} pays a bill of {b} dollars. Now it shows [blank] dollars.",
    ), below_zero=True),
    Scene("dive", "-", (-900, -2), (2, 890), (-999, -4), "It goes down, so subtract.", (
        "A {it} is at {a} meters, below the sea. It goes down {b} meters. Now it is at [blank] meters.",
    ), ("submarine", "diving robot", "whale"), below_zero=True),
    Scene("cooling", "*", (-10, -2), (2, 12), _BELOW, "Every hour brings the same change, so multiply.", (
        "In a cold room the temperature changes by {a} °C every hour. In {b} hours it changes by [blank] °C.",
    ), below_zero=True),
    Scene("mistakes", "*", (-99, -2), (2, 99), _BELOW, "Every mistake counts the same, so multiply.", (
        "In a game each mistake counts {a} points. {name} makes {b} mistakes. Together they count [blank] points.",
    ), below_zero=True),
    Scene("fees", "*", (-99, -2), (2, 99), _BELOW, "Every week brings the same change, so multiply.", (
        "The account of a club changes by {a} dollars every week. In {b} weeks it changes by [blank] dollars.",
    ), below_zero=True),
    Scene("cooled", "/", (-150, -4), (2, 12), (-15, -2), "The same change every hour asks to divide.", (
        "In {b} hours the temperature changes by {a} °C, the same every hour. Each hour it changes by [blank] °C.",
    ), below_zero=True),
    Scene("lost-points", "/", (-10_000, -4), (2, 99), _BELOW, "The same for every mistake asks to divide.", (
        "In a game {name} makes {b} mistakes. They count {a} points in all. Each mistake counts [blank] points.",
    ), below_zero=True),
    Scene("spent", "/", (-10_000, -4), (2, 99), _BELOW, "The same change every week asks to divide.", (
        "In {b} weeks the account of a club changes by {a} dollars, the same every week. Each week it changes by [blank] dollars.",
    ), below_zero=True),
)  # fmt: skip

SCENES: tuple[Scene, ...] = (*_ADDITION, *_SUBTRACTION, *_MULTIPLICATION, *_DIVISION, *_NUMBER_LINE)
