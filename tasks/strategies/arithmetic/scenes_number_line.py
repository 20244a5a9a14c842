"""Scenes for word problems with numbers below zero."""

from __future__ import annotations

from tasks.strategies.arithmetic.scene import BELOW, Scene

_FROM_BELOW = (-20_000, -2)
_DIVERS = ("small submarine", "diving robot", "probe", "diving bell", "camera")
_CLUBS = ("chess club", "soccer club", "book club", "choir", "hiking club", "band", "theater group", "rowing club")
_PLACES = ("mountain hut", "harbor", "village", "airport", "ski station", "farm", "lighthouse")
_GAMES = ("board game", "card game", "quiz", "computer game", "spelling game")
_WATERS = ("river", "lake", "canal", "reservoir", "pond")

# A scene reads best with each sentence on a line of its own.
# fmt: off
NUMBER_LINE: tuple[Scene, ...] = (
    Scene("warmer", "+", (-40, -1), (2, 45), (-40, 45), "It gets warmer, so add.", (
        "In the morning it is {a} °C at the {it}. By noon it is {b} degrees warmer. Then it is [blank] °C.",
        "{name} reads {a} °C at the {it}. Over the day it gets {b} degrees warmer. Now {he} reads [blank] °C.",
    ), _PLACES, below_zero=True),
    Scene("pay-in", "+", _FROM_BELOW, (5, 20_000), (-20_000, 20_000), "Money comes in, so add.", (
        "The account of the {it} shows {a} dollars. {name} pays in {b} dollars. Now it shows [blank] dollars.",
        "In {place} the {it} has a balance of {a} dollars. It earns {b} dollars. The new balance is [blank] dollars.",
    ), _CLUBS, below_zero=True),
    Scene("rise", "+", (-900, -4), (2, 890), (-890, -2), "It rises, so add.", (
        "{name} pulls a {it} up by {b} meters from {a} meters (0 is sea level). It ends at [blank] meters.",
        "Near {place} a {it} is at {a} meters (0 is sea level). It rises {b} meters. Now it is at [blank] meters.",
    ), _DIVERS, below_zero=True),
    Scene("win", "+", _FROM_BELOW, (2, 20_000), (-20_000, 20_000), "Points are won, so add.", (
        "The team from {place} has {a} points in a {it}. A good round brings {b} points. It then has [blank] points.",
        "In a {it} {name} stands at {a} points. Then {he} wins {b} points. Now {he} stands at [blank] points.",
    ), _GAMES, below_zero=True),
    Scene("flood", "+", (-900, -2), (2, 900), (-900, 900), "The water rises, so add.", (
        "The mark for normal water is 0. The {it} in {place} stands at {a} cm. It rises {b} cm, to [blank] cm.",
    ), _WATERS, below_zero=True),
    Scene("floors-up", "+", (-9, -1), (2, 30), (-8, 30), "The way goes up, so add.", (
        "{name} gets into a lift on floor {a} of a {it} and rides up {b} floors. {He} gets out on floor [blank].",
    ), ("tower", "garage", "museum", "store", "hotel"), below_zero=True),
    Scene("colder", "-", (-30, 40), (2, 45), (-60, -1), "It gets colder, so subtract.", (
        "In the evening it is {a} °C at the {it}. In the night it gets {b} degrees colder. Then it is [blank] °C.",
        "{name} reads {a} °C at the {it}. A storm makes it {b} degrees colder. Now {he} reads [blank] °C.",
    ), _PLACES, below_zero=True),
    Scene("bill", "-", (-20_000, 20_000), (5, 20_000), BELOW, "Money goes out, so subtract.", (
        "The account of the {it} shows {a} dollars. {name} pays a bill of {b} dollars. Now it shows [blank] dollars.",
        "In {place} the {it} has a balance of {a} dollars. It spends {b} dollars. The new balance is [blank] dollars.",
    ), _CLUBS, below_zero=True),
    Scene("dive", "-", (-900, -2), (2, 890), (-1500, -4), "It goes down, so subtract.", (
        "{name} sends a {it} {b} meters further down from {a} meters (0 is sea level). It ends at [blank] meters.",
        "Near {place} a {it} is at {a} meters (0 is sea level). It sinks {b} meters. Now it is at [blank] meters.",
    ), _DIVERS, below_zero=True),
    Scene("lose", "-", (-20_000, 20_000), (2, 20_000), BELOW, "Points are lost, so subtract.", (
        "The team from {place} has {a} points in a {it}. A bad round costs {b} points. It is left with [blank] points.",
        "In a {it} {name} stands at {a} points. Then {he} loses {b} points. Now {he} stands at [blank] points.",
    ), _GAMES, below_zero=True),
    Scene("drought", "-", (-900, 900), (2, 900), (-1800, -2), "The water falls, so subtract.", (
        "The mark for normal water is 0. The {it} in {place} stands at {a} cm. It falls {b} cm, to [blank] cm.",
    ), _WATERS, below_zero=True),
    Scene("floors-down", "-", (-8, 30), (2, 30), (-9, -1), "The way goes down, so subtract.", (
        "{name} gets into a lift on floor {a} of a {it} and rides down {b} floors. {He} gets out on floor [blank].",
    ), ("tower", "garage", "museum", "store", "hotel"), below_zero=True),
    Scene("cooling", "*", (-10, -2), (2, 12), BELOW, "Every hour brings the same change, so multiply.", (
        "{name} sees the temperature change by {a} °C an hour at the {it}. In {b} hours it changes by [blank] °C.",
        "The temperature at the {it} changes by {a} °C every hour. In {b} hours it changes by [blank] °C.",
    ), _PLACES, below_zero=True),
    Scene("mistakes", "*", (-99, -2), (2, 99), BELOW, "Every mistake counts the same, so multiply.", (
        "{other} takes part in a {it} in {place} and makes {b} mistakes of {a} points each. That is [blank] points.",
        "In a {it} each mistake counts {a} points. {name} makes {b} mistakes. Together they count [blank] points.",
    ), _GAMES, below_zero=True),
    Scene("fees", "*", (-99, -2), (2, 99), BELOW, "Every week brings the same change, so multiply.", (
        "{name} sees the {it} change its balance by {a} dollars a week. Over {b} weeks that is [blank] dollars.",
        "The account of the {it} changes by {a} dollars every week. In {b} weeks it changes by [blank] dollars.",
    ), _CLUBS, below_zero=True),
    Scene("sinking", "*", (-99, -2), (2, 99), BELOW, "Every minute brings the same change, so multiply.", (
        "{name} steers a {it}. Each minute its height changes by {a} meters. In {b} minutes that is [blank] meters.",
        "A {it} changes its height by {a} meters a minute. In {b} minutes it changes its height by [blank] meters.",
    ), _DIVERS, below_zero=True),
    Scene("drying", "*", (-99, -2), (2, 99), BELOW, "Every day brings the same change, so multiply.", (
        "{name} marks the level of the {it} in {place}. Each day it changes by {a} mm. In {b} days that is [blank] mm.",
        "In a dry summer the level of the {it} changes by {a} mm a day. In {b} days it changes by [blank] mm.",
    ), _WATERS, below_zero=True),
    Scene("shares", "*", (-99, -2), (2, 99), BELOW, "Every share loses the same, so multiply.", (
        "A share of a {it} maker changes by {a} dollars. {name} owns {b} shares. They change by [blank] dollars.",
    ), ("bike", "toy", "shoe", "lamp", "boat", "piano"), below_zero=True),
    Scene("cooled", "/", (-150, -4), (2, 12), (-15, -2), "The same change every hour asks to divide.", (
        "The temperature at the {it} changes by {a} °C in {b} hours, evenly. Each hour it changes by [blank] °C.",
    ), _PLACES, below_zero=True),
    Scene("lost-points", "/", (-10_000, -4), (2, 99), BELOW, "The same for every mistake asks to divide.", (
        "In a {it} {name} makes {b} mistakes. They count {a} points in all. Each mistake counts [blank] points.",
    ), _GAMES, below_zero=True),
    Scene("spent", "/", (-10_000, -4), (2, 99), BELOW, "The same change every week asks to divide.", (
        "In {b} weeks of equal spending the {it} changes its balance by {a} dollars. Per week that is [blank] dollars.",
    ), _CLUBS, below_zero=True),
    Scene("sunk", "/", (-10_000, -4), (2, 99), (-99, -2), "The same change every minute asks to divide.", (
        "{name} steers a {it}. In {b} minutes its height changes by {a} meters. Per minute that is [blank] meters.",
        "In {b} minutes a {it} sinks evenly and changes its height by {a} meters. Per minute that is [blank] meters.",
    ), _DIVERS, below_zero=True),
    Scene("dried", "/", (-10_000, -4), (2, 99), (-99, -2), "The same change every day asks to divide.", (
        "{name} marks the level of the {it} in {place}. In {b} days it changes by {a} mm. Per day that is [blank] mm.",
        "In {b} dry days the level of the {it} changes by {a} mm, evenly. Each day it changes by [blank] mm.",
    ), _WATERS, below_zero=True),
    Scene("shares-down", "/", (-10_000, -4), (2, 99), (-99, -2), "The same for every share asks to divide.", (
        "{name} owns {b} shares of a {it} maker. Their value changes by {a} dollars. Each changes by [blank] dollars.",
    ), ("bike", "toy", "shoe", "lamp", "boat", "piano"), below_zero=True),
)
# fmt: on
