"""Study texts on dividing. ``texts`` says what keys and places mean."""

from __future__ import annotations

DIVISION: dict[tuple[str, str], str] = {
    ("meaning", "any"): """\
[SECTION:Two kinds of stories]

When you divide, you make equal parts. The sign is ÷. We say divided by. The result is called the quotient.

There are two kinds of stories. Both ask you to divide.

[SECTION:Sharing]

You have {a} nuts. You share them among {b} friends. Each friend gets the same. How many does each friend get?
We write {a} ÷ {b} = {r}. Each friend gets {r} nuts.

[SECTION:Making groups]

You have {a} nuts. You put {b} nuts into each bag. How many bags do you fill? Again we write {a} ÷ {b} = {r}.
You fill {r} bags.

[SECTION:What to keep in mind]

You may not swap the numbers. The amount that you share comes first.

When you divide by 1, nothing changes. {a} ÷ 1 = {a}. When you divide a number by itself, you get 1. {a} ÷ {a} =
1.

You can not divide by 0. No one can make groups of nothing.
""",
    ("working", "facts"): """\
[SECTION:Ask a times question]

Every division has a times question in it. For 24 ÷ 6, ask: what times 6 makes 24? You know that 4 × 6 = 24. So
24 ÷ 6 = 4.

Here is one more: {sum}. {working}

So when you know your tables, you can divide as well.

[SECTION:Fact families]

Three numbers can make four facts. Take 3, 5 and 15.

- 3 × 5 = 15
- 5 × 3 = 15
- 15 ÷ 3 = 5
- 15 ÷ 5 = 3

Learn them side by side. If you know one, you know them all.

[SECTION:If you do not know the fact]

Start with a fact that is close. For 42 ÷ 6 you may know that 5 × 6 = 30. There are 12 more, and 12 is two more
sixes. So it is 7 sixes in all, and 42 ÷ 6 = 7.

To divide by 2, take half. To divide by 4, take half of the half.
""",
    ("working", "parts"): """\
[SECTION:Split the number]

When a number is too long for your tables, split it. Look for parts that are easy to divide.

Say you need 96 ÷ 4. Split 96 into 80 and 16. 80 ÷ 4 = 20, and 16 ÷ 4 = 4. Together that makes 24. So 96 ÷ 4 =
24.

[SECTION:Step by step]

Long division does the same from left to right.

1. See how often the number fits into the first digits.
2. Write that down. Multiply, and take the product away.
3. Bring down the next digit.
4. Go on until no digit is left.

[SECTION:Worked example]

What is {sum}? Multiply to see that it fits. {working}

[SECTION:Large numbers to divide by]

It helps to write a small table first. For 23, write 23, 46, 69, 92 and 115. Then you can see at once how often
23 fits. Round numbers help as well: 23 is close to 20, so try that first.
""",
    ("working", "signed"): """\
[SECTION:Sizes and signs]

To divide numbers that may be negative, do two things. Divide the sizes as if there were no signs. Then find the
sign.

- If both signs are the same, the quotient is positive.
- If the signs differ, the quotient is negative.

So −24 ÷ 6 = −4, and −24 ÷ (−6) = 4.

[SECTION:Why it is so]

Every division has a times question in it. For −24 ÷ 6, ask: what times 6 makes −24? It must be −4, because −4 ×
6 = −24. For −24 ÷ (−6), ask: what times −6 makes −24? It must be 4, because 4 × (−6) = −24.

So the rule for the signs is the same as in multiplying.

[SECTION:Worked example]

What is {sum}? {working}

Find the sign before you divide, and write it down at once. Then only the sizes are left to work out, just as
you always did.
""",
    ("checking", "any"): """\
[SECTION:Turn it around]

You can check with a times fact. Take your result. Multiply it by the number you divided by. Now you must get
back the first number.

Look at {sum} = {r}. The check is {other}. It fits. So the result is right.

[SECTION:Guess first]

Guess how large the result can be. When more friends share, each one gets less. So a large number to divide by
makes a small result. A small one makes a large result.

[SECTION:Slips to watch for]

- You stop one group too soon, or go one too far. The check finds this at once.
- You take away, but the sign says divide. 12 ÷ 3 is 4, not 9.
- You give the wrong number of the family. In 24 ÷ 6 the result is 4. The 6 is what you divide by.
- You lose a zero. 180 ÷ 6 is 30, not 3.

Found a slip? Good. Now you know what to look for next time.
""",
    ("checking", "signed"): """\
[SECTION:Undo it]

Multiplying undoes dividing. Multiply your result by the number you divided by. Then you must get back the first
number, and its sign must be right as well.

Here is an example: {sum} = {r}. The check is {other}. It fits, so the result is right.

[SECTION:Count the minus signs]

Count the minus signs in the exercise. With one minus sign, the quotient is negative. With two, it is positive.
This takes a second, and it finds most slips.

[SECTION:Slips to watch for]

- The minus sign gets lost on the way. Put negative numbers in brackets.
- Two minus signs are taken for one. −24 ÷ (−6) is 4, not −4.
- The numbers change places. In −24 ÷ 6 the −24 is what is shared.
- The size is wrong, not the sign. Leave the signs out, check the sizes by multiplying, and then look at the
  signs again.
""",
}
