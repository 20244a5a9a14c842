"""Study texts on multiplying. ``texts`` says what keys and places mean."""

from __future__ import annotations

MULTIPLICATION: dict[tuple[str, str], str] = {
    ("meaning", "any"): """\
[SECTION:Equal groups]

When you multiply, you count equal groups. You need two numbers. One tells how many groups there are. The other
tells how many things are in each group. The result is called the product.

The sign is ×. We say times.

[SECTION:A story]

There are {a} bags on a table. Each bag holds {b} nuts. How many nuts are there in all?

You could add {b} again and again, once for each bag. It is quicker to multiply. {a} × {b} = {r}. So there are
{r} nuts.

[SECTION:Rows]

You can also think of rows. Draw {a} rows with {b} dots in each row. Now turn the page. You see {b} rows with
{a} dots in each. The dots are the same. So {a} × {b} and {b} × {a} have the same product.

[SECTION:Small rules]

One times a number is the number itself. 1 × {b} = {b}. Zero times a number is 0, for no group holds a thing. 0
× {b} = 0.
""",
    ("working", "facts"): """\
[SECTION:Start with easy facts]

You know some facts already. Two times a number is its double. Ten times a number is that many tens. Five times
a number is half of ten times.

From these you can build all the others.

[SECTION:Build the rest]

- 3 times: take the double and add one more.
- 4 times: double, then double again.
- 6 times: take 5 times and add one more.
- 9 times: take 10 times and go one back.

Say you need 6 × 4. You know that 5 × 4 = 20. One more 4 makes 24. So 6 × 4 = 24.

Here is one more: {sum}. {working}

[SECTION:Swap and save work]

You may swap the numbers. So 7 × 2 is the same as 2 × 7. If you know one fact, you know two.

[SECTION:Learn a few each day]

Pick three facts. Say them out loud. Write them down. Say them again the next day. Soon you will know them by
heart.
""",
    ("working", "parts"): """\
[SECTION:Split a number]

A long number is made of parts. 34 is 30 and 4. To multiply it, multiply each part. Then add the products.

Say you need 34 × 6. First, 30 × 6 = 180. Then 4 × 6 = 24. Together that makes 204. So 34 × 6 = 204.

[SECTION:Tens are easy]

To find 30 × 6, think of 3 × 6 = 18. These are 18 tens, and 18 tens make 180. It is the same with hundreds. 300
× 6 = 1800.

[SECTION:Worked example]

What is {sum}? {working}

[SECTION:As a box]

Draw a box and cut it into parts. Write the parts of one number along the top. Write the parts of the other
number down the side. Each small box holds one product. In the end, add up what all the boxes hold. This way no
product is left out, even when both numbers are long.
""",
    ("working", "signed"): """\
[SECTION:Sizes and signs]

To multiply numbers that may be negative, do two things. Multiply the sizes as if there were no signs. Then find
the sign.

- If both signs are the same, the product is positive.
- If the signs differ, the product is negative.

So 4 × (−6) = −24, and −4 × (−6) = 24.

[SECTION:Why the sign turns]

Think of a debt. Four debts of 6 dollars make a debt of 24 dollars. So 4 × (−6) = −24.

Now look at a row of products: 2 × (−6) = −12, 1 × (−6) = −6, 0 × (−6) = 0. Each step adds 6. The next step must
be −1 × (−6) = 6. So two negative numbers give a positive product.

[SECTION:Worked example]

What is {sum}? {working}

Find the sign before you multiply, and write it down at once. Then only the sizes are left to work out, just as
you always did.
""",
    ("checking", "any"): """\
[SECTION:Turn it around]

Dividing undoes multiplying. So you can use it to check. Divide the product by one number. Then you must get the
other number.

Here is an example: {sum} = {r}. The check is {other}. It fits, so the product is right.

[SECTION:Use a near fact]

Look for an easy fact close by. Ten times the number is a good one. If you have 9 groups, the product must be a
bit less than ten times. If your product is more, look again.

Look at the last digit too. All products with 2 end in 0, 2, 4, 6 or 8. All products with 5 end in 0 or 5.

[SECTION:Slips to watch for]

- You add, but the sign says times. 6 × 4 is 24, not 10.
- You go one group too far, or stop one too soon. Count the groups.
- You split a number and forget a part. Each part must be used.
- The digits change places. 42 is not 24.
""",
    ("checking", "signed"): """\
[SECTION:Undo it]

Dividing undoes multiplying. Divide the product by one number. Then you must get the other number, and its sign
must be right as well.

Here is an example: {sum} = {r}. The check is {other}. It fits, so the product is right.

[SECTION:Count the minus signs]

Count the minus signs in the exercise. With one minus sign, the product is negative. With two, it is positive.
This takes a second, and it finds most slips.

[SECTION:Slips to watch for]

- The rule for adding is used. −4 + (−6) is negative, but −4 × (−6) is positive.
- The minus sign gets lost on the way. Put negative numbers in brackets.
- You add, but the sign says times. 6 × (−4) is −24, not 2.
- The size is wrong, not the sign. Split a long number into parts, and check each part by itself.
""",
}
