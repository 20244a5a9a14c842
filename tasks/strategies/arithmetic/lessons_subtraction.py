"""Study texts on taking away. ``texts`` says what keys and places mean."""

from __future__ import annotations

SUBTRACTION: dict[tuple[str, str], str] = {
    ("meaning", "any"): """\
[SECTION:Taking away]

When you subtract, you take an amount away. You start with one amount. Some of it goes. The result tells how
much is left. We call it the difference.

The sign for this is −. We say minus.

[SECTION:A story]

A shop has {a} pears. It sells {b} of them. How many pears are left? There are {r} pears left.

In signs we write {a} − {b} = {r}. We say: {a} minus {b} makes {r}.

[SECTION:How many more?]

We also subtract to compare. Ben has {a} cards. Mia has {b} cards. How many more does Ben have? Nobody takes a
card away. But the gap is {a} − {b}. So Ben has {r} more cards.

[SECTION:What to keep in mind]

Here you may not swap the numbers. The amount you start with comes first.

When you take 0 away, nothing changes. {a} − 0 = {a}. When you take all away, 0 is left. {a} − {a} = 0.
""",
    ("working", "ten"): """\
[SECTION:Count back]

To take a small number away, count back. Keep the first number in your head. Then go back one step at a time.

Let us work out {sum}. Start at {a}. Go back {b}. You end at {r}.

So {sum} = {r}.

[SECTION:Count up]

Sometimes it is quicker to count up. Think of 9 − 7. How far is it from 7 to 9? Say 8, 9. That is 2 steps. So 9
− 7 = 2.

Count back when you take away a small number. Count up when the two numbers are close.

[SECTION:See it]

You can draw dots. Draw {a} dots. Cross out {b} of them. Now count the dots that are left. There are {r}.

[SECTION:Pairs help]

7 and 3 make 10. So 10 − 3 = 7, and 10 − 7 = 3. Each pair that you know helps you to take away too.
""",
    ("working", "twenty"): """\
[SECTION:Stop at ten]

Ten is a good place to rest. Say you want to work out 14 − 6. First go back 4. You are at 10. You have to go
back 2 more. That takes you to 8. So 14 − 6 = 8.

[SECTION:Think of adding]

You can also ask: what must I add? From 8 to 13 you go 2 up to 10 and then 3 more. That is 5. So 13 − 8 = 5.

Here is one more: {sum}. {working}

[SECTION:Use what you know]

Doubles help here too. 8 + 8 = 16, so 16 − 8 = 8.

Taking 9 away is like taking 10 away and going one up. 15 − 10 = 5, so 15 − 9 = 6.

When both numbers are close, count up. When you take a small number away, count back. Pick the way that is
shorter.
""",
    ("working", "columns"): """\
[SECTION:Part by part]

A long number is made of parts. 30 and 7 make 37. To take it away, you can take its parts away one by one. Start
with the largest part.

Look at {sum}. {working}

[SECTION:In columns]

You can also write the numbers one below the other. The larger one stands on top. Put ones below ones and tens
below tens. Then begin on the right.

1. Take the lower ones from the upper ones.
2. If there are too few on top, trade one ten for 10 ones.
3. Then take the tens away. Think of the ten you traded.
4. Go on like this to the left.

Try it with 62 − 37. You can not take 7 from 2. So trade one ten. Now there are 12 ones on top, and 12 − 7 = 5.
Only 5 tens are left on top, and 5 − 3 = 2. So 62 − 37 = 25.

[SECTION:Close numbers]

When the numbers are close, count up. From 198 to 203 it is 2 and then 3 more. So 203 − 198 = 5.
""",
    ("working", "signed"): """\
[SECTION:Going down the number line]

To take a positive number away, go to the left on the number line. You may go past zero. For example, 3 − 7
takes you 3 steps to zero and then 4 steps further. So 3 − 7 = −4.

When you start below zero, you just go on to the left. So −2 − 5 = −7.

[SECTION:Taking a negative number away]

Think of a negative number as a debt. When someone takes a debt of 5 dollars from you, you are 5 dollars better
off. So taking −5 away is the same as adding 5. For example, 4 − (−5) is 4 + 5, which makes 9.

Two minus signs that meet become one plus sign.

[SECTION:Worked example]

What is {sum}? {working}

So {sum} = {r}. First turn every minus that is followed by a negative number into a plus. Then find your place
on the number line and go step by step.
""",
    ("checking", "any"): """\
[SECTION:Turn it around]

Adding undoes taking away. So you can use it to check. Add what you took away to what is left. Then you must get
back the first number.

Here is an example: {sum} = {r}. The check is {other}. It fits, so the result is right.

[SECTION:Guess first]

Make a guess before you start. What is left can not be more than you had at first. When you take a small part
away, much is left. When you take nearly all away, little is left.

[SECTION:Slips to watch for]

- You count the first number as a step. When you count back from 9, the first step is 8.
- You add, but the sign says minus. Read the sign first.
- In one column you take the upper digit from the lower one. In 62 − 37 you must take 7 from 12, not 2 from 7.
- You trade a ten and then forget that it is gone. Cross it out at once.

Found a slip? Good. Now you know what to look for next time.
""",
    ("checking", "signed"): """\
[SECTION:Undo it]

Adding undoes taking away. Add what you took away to your result. Then you must get back the first number. The
signs count here as well.

Here is an example: {sum} = {r}. The check is {other}. It fits, so the result is right.

[SECTION:Which way does it go?]

When you take a positive number away, the result must be smaller than the first number. When you take a negative
number away, the result must be larger. Ask this before you look at the sizes.

[SECTION:Slips to watch for]

- Two minus signs meet, and one of them gets lost. 4 − (−5) is 9, not −1.
- The numbers change places. 3 − 7 is −4, but 7 − 3 is 4.
- The walk stops at zero. From 3 you can go 7 steps to the left, because the number line goes on below zero.
- A number below zero seems larger because its size is larger. But −9 is smaller than −2.
""",
}
