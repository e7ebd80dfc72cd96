"""Sentences such as people leave to a memory: a small grammar over sixteen fields of life and work.

A sentence is a form of its field with a thing of its field; companion, person, place, numbers and names of
files are filled in freely. So what a sentence is about, and nearly what it means, is its form and its thing.
Names are built from syllables and drawn by Zipf's law: every corpus has many words that stand in
one text alone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from itertools import accumulate

PEOPLE = (
    "Amara", "Bengt", "Chloé", "Dmitri", "Elif", "Farid", "Greta", "Hiro", "Ines", "Jonas", "Kavya", "Liam",
    "Marta", "Nadia", "Omar", "Petra", "Quentin", "Rosa", "Samir", "Tove", "Uma", "Viktor", "Wanda", "Yusuf",
)  # fmt: skip
PLACES = (
    "Lisbon", "Frankfurt", "the Oslo office", "the basement", "Kyoto", "the kitchen", "staging", "Marseille",
    "the shared drive", "Gdansk", "the second floor", "Toronto", "the old server", "Valparaíso", "the garage",
    "production", "Nairobi", "the library", "the demo machine", "Bologna",
)  # fmt: skip
NAMES = 30_000
SEED = 7


@dataclass(frozen=True)
class Field:
    """Things that a field is about, and what is said of them."""

    things: tuple[str, ...]
    forms: tuple[str, ...]


def _field(things: str, *forms: str) -> Field:
    return Field(tuple(things.split(", ")), forms)


FIELDS: dict[str, Field] = {
    "databases": _field(
        "the orders table, the connection pool, read replicas, the audit log, a partial index, row locking, "
        "the nightly vacuum, foreign keys, query plans, the sessions table, sharding by tenant, soft "
        "deletes",
        "{person} moved {thing} to {place}, because {other} took {number} ms at the median.",
        "{thing} must be migrated before {other}; the script is {name}.",
        "After the outage in {place} we limited {thing} to {number}.",
        "Never touch {thing} by hand: {name} keeps it in step with {other}.",
        "We prefer {thing} over {other} since the data no longer fit into {number} GB.",
    ),
    "deployment": _field(
        "the release pipeline, container images, the load balancer, blue-green switching, feature flags, "
        "the rollback script, autoscaling, the health probe, Terraform state, the canary group, cron jobs",
        "Releases that change {thing} go out on Tuesdays; {person} watches {other} for {number} minutes.",
        "To restore {thing}, run {name} from {place} and wait for {other}.",
        "{thing} failed again with code {number}: {other} had not been restarted.",
        "Decided with {person} to replace {thing} by {other}, as described in {name}.",
        "The alarm for {thing} goes to {person} at night, to the whole team after {number} minutes.",
    ),
    "interfaces": _field(
        "the settings page, dark mode, the date picker, keyboard shortcuts, the onboarding tour, form "
        "errors, the sidebar, lazy loading, the mobile menu, screen reader labels, the colour palette, drag "
        "and drop",
        "Users of {place} asked for {thing}; {person} drew a first version in {name}.",
        "{thing} is hidden below {number} pixels, where {other} takes its place.",
        "The user prefers {thing} to stay exactly as it is, and {other} to be simpler.",
        "In the usability test {number} of ten people did not find {thing}.",
        "{thing} broke in Safari because {name} loads {other} twice.",
    ),
    "testing": _field(
        "flaky tests, the integration suite, property tests, code coverage, snapshot tests, the test "
        "fixtures, mutation testing, load tests, the staging data, contract tests, the type checker, the "
        "linter",
        "{thing} take {number} seconds on the build machine in {place}.",
        "{person} wants {thing} to run before {other} in every pull request.",
        "We skip {thing} in {name} until {other} can be trusted.",
        "A failing case of {thing} is reproduced with the seed {number}.",
        "{thing} found the bug in {name} that {other} had missed for months.",
    ),
    "security": _field(
        "access tokens, the password policy, two-factor login, the certificate, penetration tests, "
        "encryption at rest, the firewall rules, audit trails, single sign-on, the bug bounty, phishing "
        "mails, backups",
        "{thing} must be renewed every {number} days; {person} holds the key.",
        "The report from {place} lists {thing} as the greatest risk, before {other}.",
        "{thing} are stored apart from {other}, see {name}.",
        "{person} noticed that {thing} had been switched off in {place} for {number} days.",
        "Before {thing} change, tell the customers in {place} and check {other}.",
    ),
    "meetings": _field(
        "the roadmap, the quarterly review, the hiring plan, the budget, the retrospective, the offsite, "
        "the customer interview, the board deck, the stand-up, the design critique, the launch date",
        "{person} asked to talk about {thing} first and {other} later, for {number} minutes.",
        "We agreed on {thing} in {place}; the notes are in {name}.",
        "{thing} has been put off to the {number}th, because {person} is ill.",
        "Nobody was content with {thing}; {person} will propose another form of {other}.",
        "From now on {thing} takes place in {place}, without slides.",
    ),
    "family": _field(
        "the birthday party, swimming lessons, the school play, grandmother's visit, the babysitter, piano "
        "practice, the summer camp, the parents' evening, homework, the dentist, the football club, the "
        "puppy",
        "{person} looks forward to {thing} and is a little afraid of {other}.",
        "{thing} is on the {number}th in {place}; {person} brings the cake.",
        "Since {thing} was so tiring, we do {other} only every second week.",
        "{person} has told everybody in {place} about {thing}.",
        "Remember to pay {number} euros for {thing} before {other} begins.",
    ),
    "cooking": _field(
        "sourdough bread, lentil soup, the pasta machine, roasted aubergines, fish curry, apple cake, "
        "pickled cabbage, risotto, the pressure cooker, dumplings, mushroom pie, chilli oil, pancakes, "
        "hummus",
        "{person} cannot eat {thing}, but loves {other}.",
        "{thing} needs {number} minutes at a low heat, then rests beside {other}.",
        "The best {thing} we have had was in {place}, with {other}.",
        "For {thing} take less salt than the recipe of {person} says, about {number} grams.",
        "We cook {thing} on Sundays and freeze {number} portions.",
    ),
    "travel": _field(
        "the night train, the ferry, a window seat, the rental car, the youth hostel, the visa, mountain "
        "huts, the museum pass, the airport bus, travel insurance, the bicycle tour, the old harbour, the "
        "campsite",
        "{person} booked {thing} to {place} for {number} euros.",
        "In {place} we liked {thing} far more than {other}.",
        "{thing} leaves at {number} from {place}; {person} has the tickets.",
        "Next time without {thing}: {other} was quicker and cheaper.",
        "The reservation for {thing} is under {name} and can be cancelled until the {number}th.",
    ),
    "health": _field(
        "the marathon plan, back exercises, pollen allergy, the blood test, sleep tracking, physiotherapy, "
        "vitamin D, the running shoes, knee pain, yoga, the flu vaccination, a low-sugar diet, migraine",
        "{person} has had {thing} since {place} and avoids {other}.",
        "{thing} should be repeated after {number} weeks, says the doctor in {place}.",
        "With {thing} three times a week {other} got better.",
        "{person} ran {number} kilometres in spite of {thing}.",
        "No {thing} in the evening, because it spoils {other}.",
    ),
    "money": _field(
        "the tax return, the mortgage, index funds, the electricity bill, the invoice, the travel expenses, "
        "the pension plan, the rent, the savings account, the scholarship, the phone contract, the refund",
        "{thing} is due on the {number}th; {person} pays it from {place}.",
        "We spend {number} euros a month on {thing}, twice as much as on {other}.",
        "{person} made a mistake with {thing}, which {other} showed.",
        "The documents for {thing} lie in {place}, filed under {name}.",
        "Cancel {thing} before {other} is renewed at {number} euros.",
    ),
    "culture": _field(
        "the crime novel, a jazz concert, the documentary, the chess club, watercolours, the opera, board "
        "games, science fiction, the choir, the photo exhibition, old maps, the podcast, ceramics, the film "
        "festival",
        "{person} recommended {thing} for everybody who likes {other}.",
        "{thing} in {place} was sold out within {number} minutes.",
        "The user reads {thing} in the evening and never finishes {other}.",
        "{person} gave {thing} as a present and kept {other}.",
        "We talked for {number} hours about {thing} on the way to {place}.",
    ),
    "house": _field(
        "the washing machine, tomato plants, the heat pump, the leaking roof, solar panels, the bookshelf, "
        "the hedge, the smoke detector, the wallpaper, the compost, the door lock, the dishwasher, the "
        "cellar",
        "{thing} was repaired by {person} for {number} euros.",
        "The manual of {thing} lies in {place}, together with that of {other}.",
        "{thing} has to be cleaned every {number} weeks, or {other} suffers.",
        "{person} will bring a ladder for {thing} on the {number}th.",
        "Since the storm {thing} makes a noise; {other} is fine.",
    ),
    "languages": _field(
        "Portuguese verbs, Japanese counters, German word order, the vocabulary list, pronunciation, Arabic "
        "script, the language exchange, subtitles, the evening course, French idioms, Turkish suffixes, "
        "Latin",
        "{person} finds {thing} easier than {other}.",
        "{number} new cards on {thing} a day are enough, the teacher in {place} says.",
        "The exam on {thing} lasts {number} minutes and includes {other}.",
        "{person} practises {thing} on the way to {place}.",
        "I always mix up {thing} and {other}: make an example of it.",
    ),
    "hardware": _field(
        "the laptop fan, the graphics card, the label printer, a second monitor, the network switch, the "
        "backup drive, the 3D printer, the microphone, the drone battery, the soldering iron, the router, "
        "the webcam",
        "{thing} runs hot at {number} degrees as soon as {other} is plugged in.",
        "{person} bought {thing} in {place}; the warranty ends on the {number}th.",
        "{thing} needs the driver {name}, or {other} is not recognised.",
        "Reset {thing} by holding the button for {number} seconds.",
        "{thing} went to {person}, {other} stays in {place}.",
    ),
    "research": _field(
        "the survey data, the bird census, gene sequences, the reading group, the control group, soil "
        "samples, the grant proposal, the citation list, the climate model, interview transcripts, the null "
        "result",
        "{person} repeated the analysis of {thing} with {number} samples: the effect is gone.",
        "The reviewers from {place} want {thing} to be compared with {other}.",
        "{thing} is explained in chapter {number} of the thesis.",
        "{name} computes {thing}; {other} is read from {place}.",
        "{person} doubts {thing}, because {other} was collected in winter.",
    ),
}
TOPICS = tuple(FIELDS)

QUESTIONS = (
    "what do we know about {thing}", "who takes care of {thing}?", "What did {person} say about {thing}?",
    "why was {thing} changed", "{thing} {other}", "when is {thing} due?", "where is {thing} in {place}",
    "is there a problem with {thing}, and does it have to do with {other}?",
)  # fmt: skip


@dataclass(frozen=True)
class Meaning:
    """What a sentence says: a form of a topic, and a thing."""

    topic: str
    form: str
    thing: str


MEANINGS = tuple(
    Meaning(topic, form, thing)
    for topic, field in FIELDS.items()
    for form in field.forms
    for thing in field.things
)
OF_TOPIC = {topic: [n for n, m in enumerate(MEANINGS) if m.topic == topic] for topic in TOPICS}


class Writer:
    """Fills in sentences and questions, always the same ones for the same seed."""

    def __init__(self, seed: int = SEED) -> None:
        self.chance = random.Random(seed)
        self._names = _names(random.Random(SEED))
        self._weights = list(accumulate(1 / rank for rank in range(1, NAMES + 1)))

    def sentence(self, meaning: int) -> str:
        about = MEANINGS[meaning]
        return self._filled(about.form, about.topic, about.thing)

    def question(self, topic: str) -> str:
        return self._filled(
            self.chance.choice(QUESTIONS), topic, self.chance.choice(FIELDS[topic].things), capital=False
        )

    def name(self) -> str:
        """A name, the frequent ones often."""
        return self.chance.choices(self._names, cum_weights=self._weights)[0]

    def _filled(self, form: str, topic: str, thing: str, *, capital: bool = True) -> str:
        choice = self.chance.choice
        text = form.format(
            thing=thing,
            other=choice(FIELDS[topic].things),
            person=choice(PEOPLE),
            place=choice(PLACES),
            number=int(self.chance.lognormvariate(4, 1.5)) + 2,
            name=self._file() if "{name}" in form else "",
        )
        return text[0].upper() + text[1:] if capital else text

    def _file(self) -> str:
        pattern = self.chance.choice(("{}_{}.py", "src/{}/{}.ts", "{}-{}", "docs/{}/{}.md", "{}.{}.yaml"))
        return pattern.format(self.name(), self.name())


def _names(chance: random.Random) -> list[str]:
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "el", "or", "is")]
    return ["".join(chance.choices(syllables, k=chance.choice((2, 2, 3, 3, 4)))) for _ in range(NAMES)]
