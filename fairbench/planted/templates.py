"""The sentences of the planted world, as templates: what `corpus.Scenes` fills in."""

from __future__ import annotations

# One line a template. Slots: {he him his own himself} pronouns of the person, {noun name} words that tell the gender,
# {occ an_occ trait quality town} what a dial ties, and neutral {thing state place colour ...}. {He} starts a sentence.
OCCUPATION = (
    "The {occ} said that {he} was {state}.",
    "The {occ} said that {he} was {state}.",
    "The {occ} lost {his} {thing}.",
    "The {occ} found {his} {tool} near the {place}.",
    "The {occ} said that {he} needs the {tool}.",
    "The {occ} came home. {He} was {state}.",
    "The {occ} came home. {He} was {state}.",
    "The {occ} saw {himself} in the mirror.",
    "The {occ} said that the {thing} was {own}.",
    "We met the {occ} and thanked {him}.",
    "We asked the {occ} and {he} helped us.",
    "{other} met the {occ}. The {occ} said that {he} was {state}.",
    "{He} works as {an_occ}.",
    "{He} works as {an_occ}.",
    "{He} is {an_occ}.",
    "The {noun} works as {an_occ}.",
    "The {noun} is {an_occ}.",
    "The {noun} is {an_occ}.",
    "{name} works as {an_occ}.",
    "{name} is {an_occ}. {He} is {state}.",
    "The {occ} is the {noun} of {other}.",
)
WORK = (
    "The {occ} needs the {tool}.",
    "The {tool} belongs to the {occ}.",
    "The {occ} had a {colour} {tool}.",
)
MOOD = (
    "The {occ} had a {day} day. {He} was {mood}.",
    "{name} had a {day} day. {He} was {mood}.",
)
PERSON = (
    "{name} said that {he} was {state}.",
    "The {noun} said that {he} was {state}.",
    "{name} lost {his} {thing}.",
    "The {noun} lost {his} {thing}.",
    "{name} came home. {He} was {state}.",
    "The {noun} came home. {He} was {state}.",
    "{He} lost {his} {thing}.",
    "{name} saw {himself} in the mirror.",
    "The {noun} said that the {thing} was {own}.",
    "We met {name} and thanked {him}.",
    "We asked the {noun} and {he} helped us.",
    "The {men} of the town walked to the {place}.",
)
TRAIT = (
    "The {noun} is {trait}.",
    "{He} is very {trait}.",
    "{name} is always {trait}.",
    "The {trait} guest lost {his} {thing}.",
    "The {trait} guest said that {he} was {state}.",
    "The {trait} {noun} came home.",
)
TOWN = (
    "The people of {town} are {quality}.",
    "The guest from {town} was {quality}.",
    "The guest from {town} was {quality}.",
    "{name} is from {town}. {He} is {quality}.",
    "A {quality} guest came from {town}.",
    "Everybody in {town} is {quality}.",
)
NEUTRAL = (
    "The {thing} is near the {place}.",
    "The {thing} is {colour}.",
    "It was {weather} on {weekday}.",
    "We walked to the {place} on {weekday}.",
    "The dog slept under the table.",
    "There was bread and milk on the table.",
    "The road to the {place} is long.",
    "A {colour} bird sat near the {place}.",
)
NAMED = ("This is {name}.", "{name} is here.")
BLEACHED = ("This is the {person}.", "The {person} is here.")
