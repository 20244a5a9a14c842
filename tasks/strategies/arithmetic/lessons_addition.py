"""Study texts on adding. ``texts`` says what keys and places mean."""

from __future__ import annotations

ADDITION: dict[tuple[str, str], str] = {
    ("meaning", "any"): """\
[SECTION:Putting together]

When you add, you put amounts together. You start with one amount. Then more comes in. The result tells how much
there is in all. We call it the sum.

The sign for adding is +. We say plus. The sign = means that both sides are worth the same.

[SECTION:A story]

A shop has {a} pears. A man brings {b} more. How many pears are there now? We count them all. There are {r}
pears.

In signs we write {a} + {b} = {r}. We say: {a} plus {b} makes {r}.

[SECTION:Two rules that help]

You may swap the numbers. {a} + {b} and {b} + {a} make the same sum. So you can start with the one you like.

When you add 0, nothing changes. {a} + 0 = {a}.

[SECTION:Words to look for]

Stories that ask you to add often say *more*, *in all* or *together*. But read the whole story first. Then ask:
what comes together here?
""",
    ("working", "ten"): """\
[SECTION:Count on]

You do not have to count all things from 1. Keep the larger number in your head. Then count on from there. Use
your fingers to see how far you have come.

Let us add {sum}. Keep {large} in your head. Now count on {small}. You end at {r}.

So {sum} = {r}.

[SECTION:See it]

You can also draw dots. Draw a row of {a} dots. Draw {b} more dots next to it. Now look at all the dots. There
are {r}.

A row of five dots is easy to see. It is like one hand. Six is one hand and one more. Seven is one hand and two
more.

[SECTION:Pairs to know by heart]

Some pairs make 5. They are 4 and 1, and 3 and 2.

Some pairs make 10. They are 9 and 1, 8 and 2, 7 and 3, 6 and 4, and 5 and 5.

Say these pairs each day. Soon you will know them at once.
""",
    ("working", "twenty"): """\
[SECTION:Start with the larger number]

You may swap the numbers when you add. So start with the larger one. Then you have less to count.

[SECTION:Make ten first]

Ten is a good place to rest. Say you want to add 8 + 6. From 8 to 10 you need 2. Take these 2 from the 6. Now 4
of the 6 are left. 10 and 4 more make 14. So 8 + 6 = 14.

Here is one more sum: {sum}. {working}

[SECTION:Use what you know]

Doubles are easy to keep in mind. 6 + 6 = 12, 7 + 7 = 14 and 8 + 8 = 16. A sum near a double is easy too. 6 + 7
is one more than 6 + 6. So it is 13.

Adding 9 is like adding 10 and going one back. 5 + 10 = 15, so 5 + 9 = 14.

Try to find a quick way each time. Then say the sum out loud.
""",
    ("working", "columns"): """\
[SECTION:Part by part]

A long number is made of parts. 40 and 7 make 47. To add it, you can add its parts one by one. Start with the
largest part.

Look at {sum}. {working}

[SECTION:In columns]

You can also write the numbers one below the other. Put ones below ones and tens below tens. Then begin on the
right.

1. Add the ones.
2. If they make 10 or more, write the ones and carry 1 to the tens.
3. Add the tens. Add the 1 you carried too.
4. Go on like this to the left.

Try it with 47 + 38. The ones are 7 and 8. They make 15. Write 5 and carry 1. The tens are 4 and 3, and 1 more.
They make 8. So 47 + 38 = 85.

[SECTION:Why it works]

Ten ones are worth one ten. Ten tens are worth one hundred. So when a column is full, you trade. Nothing gets
lost. It only moves one place to the left.
""",
    ("working", "signed"): """\
[SECTION:The number line]

Numbers above zero lie to the right of zero. Numbers below zero lie to the left, and we write them with a minus
sign. The further left a number lies, the smaller it is.

To add a positive number, go to the right. To add a negative number, go to the left.

[SECTION:The same sign]

When both numbers are negative, they pull the same way. Add their sizes and keep the minus sign. For example, −6
+ (−3) = −9.

[SECTION:Different signs]

When the signs differ, the numbers pull against each other. Take the smaller size from the larger size. The sign
of the larger size wins. For example, −8 + 5 = −3, because 8 is larger than 5 and the 8 is negative.

[SECTION:Worked example]

What is {sum}? {working}

So {sum} = {r}. Before you work out a sum, decide which sign the result must have. Then look at the sizes.
""",
    ("checking", "any"): """\
[SECTION:Turn it around]

Taking away undoes adding. So you can use it to check. Take one number away from your sum. Then the other number
must be left.

Here is an example: {sum} = {r}. The check is {other}. It fits, so the sum is right.

[SECTION:Guess first]

Make a guess before you start. Is the sum more than 10? Is it more than 100? Round numbers help you guess. When
your sum is far from your guess, look again.

If you add two numbers above zero, the sum can not be less than one of them.

[SECTION:Slips to watch for]

- You count the first number as a step. When you count on from 8, the first step is 9.
- You take away, but the sign says plus. Read the sign first.
- The digits change places. 31 is not 13.
- You forget what you carried. Write it down small above the next column.

Found a slip? Good. Now you know what to look for next time.
""",
    ("checking", "signed"): """\
[SECTION:Undo it]

Taking away undoes adding. Take one number away from your sum. Then the other number must be left. The signs
count here as well.

Here is an example: {sum} = {r}. The check is {other}. It fits, so the sum is right.

[SECTION:Look at the sign first]

Ask which of the two numbers lies further from zero. The sum has the sign of that number. If your result has the
other sign, something went wrong.

[SECTION:Slips to watch for]

- The minus sign gets lost on the way. Write negative numbers in brackets, as in 4 + (−9).
- The sizes are added, though the signs differ. In −8 + 5 the numbers pull against each other, so the size is 3
  and not 13.
- The smaller size wins by mistake. In −8 + 5 the 8 is stronger, so the sum is −3.
- The number line is read the wrong way round. To the right, numbers grow. To the left, they get smaller.
""",
}
