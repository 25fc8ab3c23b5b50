"""A desk of any size to measure on, English, written by rule: so many products, and ten articles about each.

Its figures must not depend on anybody's knowledge base, and one of 10,000 articles must not lie in a repository. The
embedder is the English one, as of any desk in English alone.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

KINDS = (
    "kettle", "lamp", "blender", "toaster", "heater", "speaker", "keyboard", "monitor", "router", "camera", "drill", "vacuum",
    "fan", "scale", "mixer", "grinder", "projector", "printer", "tablet", "headset",
)  # fmt: skip
MODELS = (
    "Aurora", "Birch", "Cobalt", "Delta", "Ember", "Fjord", "Garnet", "Harbour", "Iris", "Juniper", "Kestrel", "Lumen", "Maple",
    "Nova", "Onyx", "Pebble", "Quartz", "Rowan", "Sierra", "Tundra", "Umber", "Velvet", "Willow", "Xenon", "Yarrow", "Zephyr",
    "Alder", "Bramble", "Cedar", "Drift", "Echo", "Flint", "Glade", "Hazel", "Indigo", "Jasper", "Koala", "Lark", "Meadow",
    "Nimbus", "Opal", "Prairie", "Quill", "Raven", "Sable", "Thistle", "Ursa", "Vista", "Wren", "Zinnia",
)  # fmt: skip
TOPICS = (
    (
        "Returning",
        "How many days do I have to return the {product}?",
        (
            "The {product} can be returned within {days} days of delivery. It must be unused and in its original box. Print the "
            "return label from your account, tape it over the old one and hand the parcel in at any drop-off point. Return "
            "shipping costs EUR {cost}.50 and is taken off the refund."
        ),
    ),
    (
        "Warranty of",
        "How long is the warranty on the {product}?",
        (
            "The warranty on the {product} runs for {months} months from the day of purchase. It covers faults of material and "
            "workmanship. It does not cover damage from falls, water or the wrong voltage. Keep the receipt: it is the proof of "
            "purchase that our workshop asks for."
        ),
    ),
    (
        "Cleaning",
        "How often should I clean the {product}?",
        (
            "Clean the {product} every {days} days. Unplug it, let it cool down for {cost} minutes and wipe it with a soft, damp "
            "cloth. Never put it under running water. Stubborn stains come off with a spoon of vinegar in warm water."
        ),
    ),
    (
        "Spare parts for",
        "What does a spare part for the {product} cost?",
        (
            "Spare parts for the {product} cost EUR {cost} and are kept in stock for {months} months after the last sale. Order "
            "them with the number on the type plate. A video on the product page shows how to fit each of them."
        ),
    ),
    (
        "Delivery of",
        "How many working days does delivery of the {product} take?",
        (
            "Delivery of the {product} takes {few} working days. Standard delivery costs EUR {cost}. You get a message with a "
            "tracking link as soon as the parcel has left our warehouse, and the carrier tries to deliver it twice."
        ),
    ),
    (
        "Setting up",
        "How many minutes does setting up the {product} take?",
        (
            "Setting up the {product} takes about {cost} minutes. Take off the films, plug it in and press the button on the left "
            "side for {few} seconds until the light turns green. The first start may take a little longer."
        ),
    ),
    (
        "Error codes of",
        "What does error E{few} mean on the {product}?",
        (
            "Error E{few} on the {product} means that it has become too hot. Switch it off, wait {cost} minutes and make sure that "
            "its vents are free. If the error comes back three times in a day, write to our workshop."
        ),
    ),
    (
        "Energy use of",
        "How many watts does the {product} use?",
        (
            "The {product} uses {watts} watts at full power and less than one watt in standby. Its energy label is class C. A timer "
            "in the menu switches it off after {days} minutes without use."
        ),
    ),
    (
        "Registering",
        "Where do I register the {product}?",
        (
            "Register the {product} in your account under My products within {days} days. You need the serial number, which stands "
            "on the bottom. Registered owners get {few} months of warranty more and news about safety."
        ),
    ),
    (
        "Recycling",
        "How do I recycle my old {product}?",
        (
            "We take back an old {product} free of charge when you buy a new one. Bring it to one of our {few} shops or put it into "
            "a parcel of at most {cost} kilograms. Take the batteries out first, they are collected separately."
        ),
    ),
)
SIZES = {"few": 7, "days": 46, "months": 37, "cost": 23, "watts": 1_800}
"""Numbers go up to these, and a little beyond."""
LARGEST = len(KINDS) * len(MODELS) * len(TOPICS)
PAID = "The price was {price} dollars."
"""Makes each question another one: neither the answer cache nor the embedder's can help."""


def furnish(folder: Path, articles: int) -> Path:
    """Write a desk of so many articles (at most LARGEST) into a new folder; the folder."""
    (folder / "knowledge").mkdir(parents=True)
    written = list(itertools.islice(_articles(), articles))
    (folder / "desk.yaml").write_text(yaml.safe_dump(_profile(), sort_keys=False), "utf-8")
    for number, (title, text, _) in enumerate(written):
        page = (
            f"---\nid: article-{number:05}\ntitle: {title}\naudience: public\nlanguage: en\n---\n# {title}\n\n{text}\n"
        )
        (folder / "knowledge" / f"article-{number:05}.md").write_text(page, "utf-8")
    return folder


def questions(articles: int) -> Iterator[str]:
    """Questions that the articles answer, each another one, without end."""
    asked = [question for _, _, question in itertools.islice(_articles(), articles)]
    return (f"{question} {PAID.format(price=20 + number)}" for number, question in enumerate(itertools.cycle(asked)))


def _articles() -> Iterator[tuple[str, str, str]]:
    """Title, text and a question that the text answers."""
    # Kinds change fastest: ten articles about each product, and few products share their first name.
    for number, (model, kind) in enumerate(itertools.product(MODELS, KINDS)):
        product = f"{model} {kind}"
        numbers = {name: 3 + (number * 7 + place) % most for place, (name, most) in enumerate(SIZES.items())}
        for title, question, text in TOPICS:
            yield (
                f"{title} the {product}",
                text.format(product=product, **numbers),
                question.format(product=product, **numbers),
            )


def _profile() -> dict[str, Any]:
    """The profile of a shop for household goods."""
    return {
        "name": "Measured Goods",
        "languages": ["en"],
        "scope": {
            "describe": "A shop for household goods and electronics: orders, delivery, returns, warranty, use and care of products.",
            "in": [question.format(product="Aurora kettle", few=3, days=30) for _, question, _ in TOPICS],
            "out": [
                "Write a poem about the sea.",
                "What will the weather be tomorrow?",
                "Who won the match last night?",
            ],
        },
        "tone": "Friendly and short.",
    }
