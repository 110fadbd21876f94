"""Texts on which two forms of a model are compared where nobody gives others: ordinary ones, and awkward ones."""

from __future__ import annotations

_LONG = (
    "A wright makes things that last: a shipwright makes ships, a playwright makes plays. Whoever makes an encoder of "
    "language needs text, a vocabulary, a corpus made ready, days of training, and then a way to use what came of it. "
)

TEXTS = (
    "The ferry leaves at half past nine, unless the fog comes in.",
    "Nobody had expected the court to decide the case within a week.",
    "She measured the temperature twice, wrote down 37.4 and 37.5, and took the mean.",
    "Is this the one that you meant?",
    "Prices rose by 3.2% in March, after a fall of 1.1% in February.",
    "The patients received either 20 mg of the drug or a placebo, once a day, for twelve weeks.",
    "Why would anyone keep seven cats in a lighthouse?",
    "Return the sum of the two numbers; raise ValueError where one of them is negative.",
    "I loved the first half. The second half, though, was far too long!",
    "Mr. O'Neill-Smith paid $1,250.00 to J. R. Ewing & Sons, Ltd.",
    "Die Straße nach Köln ist wegen Überschwemmung gesperrt.",
    "L'été dernier, nous avons mangé des crêpes à Saint-Malo.",
    "今天的天气很好，我们去公园散步吧。",
    "東京は日本の首都です。",
    "Москва стоит на реке Москве.",
    "مرحبا بالعالم",
    "naïve café, résumé, Ångström, ﬁre, ①②③",
    "emoji 🙂🙃 and a family 👨‍👩‍👧‍👦, and a flag 🇫🇷",
    "https://example.org/a?b=c#d or someone@example.org",
    "x = [i**2 for i in range(10) if i % 2 == 0]  # squares",
    "antidisestablishmentarianism and pneumonoultramicroscopicsilicovolcanoconiosis",
    "UPPER CASE, lower case, CamelCase and snake_case",
    "tabs\tand  many   spaces\u00a0and a no-break space",
    "a",
    ".",
    "",
    _LONG,
    _LONG * 12,
)
