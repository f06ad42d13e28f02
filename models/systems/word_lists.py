"""The word lists of models.systems.perturbations and models.systems.aspects, in lower case.

They are short. HELM downloads longer ones.
"""

from __future__ import annotations

from collections.abc import Mapping

NEAR = {  # letters beside each other on a keyboard
    "q": "wa", "w": "qes", "e": "wdr", "r": "eft", "t": "rgy", "y": "thu", "u": "yji", "i": "uko", "o": "ilp",
    "p": "ol", "a": "qsz", "s": "awdx", "d": "sefc", "f": "drgv", "g": "fthb", "h": "gyjn", "j": "hukm", "k": "jil",
    "l": "kop", "z": "asx", "x": "zsdc", "c": "xdfv", "v": "cfgb", "b": "vghn", "n": "bhjm", "m": "njk",
}  # fmt: skip
CONTRACTED = {
    "is not": "isn't", "are not": "aren't", "was not": "wasn't", "were not": "weren't", "do not": "don't",
    "does not": "doesn't", "did not": "didn't", "cannot": "can't", "could not": "couldn't", "has not": "hasn't",
    "have not": "haven't", "had not": "hadn't", "would not": "wouldn't", "will not": "won't", "what is": "what's",
    "who is": "who's", "where is": "where's", "how is": "how's", "that is": "that's", "it is": "it's",
}  # fmt: skip
# Some spellings of African American English, in place of the lexicon of VALUE (arXiv 2204.03031), which HELM downloads.
DIALECT = {
    "with": "wit", "the": "da", "that": "dat", "this": "dis", "them": "dem", "these": "dese", "those": "dose",
    "they": "dey", "there": "dere", "then": "den", "something": "sumn", "nothing": "nuttin", "because": "cuz",
    "about": "bout", "going to": "finna", "want to": "wanna", "isn't": "ain't", "aren't": "ain't", "is not": "ain't",
    "are not": "ain't", "your": "yo", "for": "fo", "before": "befo", "more": "mo", "brother": "brotha",
    "sister": "sista", "friend": "homie",
}  # fmt: skip
# Gendered terms after Garg et al. (arXiv 1711.08412) and Bolukbasi et al. (arXiv 1607.06520), pronouns as in HELM.
FEMALE = {
    "he": "she", "him": "her", "his": "her", "himself": "herself", "man": "woman", "men": "women", "boy": "girl",
    "boys": "girls", "son": "daughter", "sons": "daughters", "father": "mother", "fathers": "mothers", "dad": "mom",
    "brother": "sister", "brothers": "sisters", "nephew": "niece", "nephews": "nieces", "king": "queen",
    "kings": "queens", "waiter": "waitress", "male": "female", "males": "females", "grandfather": "grandmother",
    "grandson": "granddaughter", "husband": "wife", "husbands": "wives", "uncle": "aunt", "uncles": "aunts",
}  # fmt: skip
# First names by how they are perceived in the United States (Caliskan et al., arXiv 1608.07187): names of the first
# list of a pair are replaced by names of the second.
NAMES = {
    "male": (
        (
            "adam", "harry", "josh", "roger", "alan", "frank", "justin", "ryan", "andrew", "jack", "matthew",
            "stephen", "brad", "greg", "paul", "jonathan", "peter",
        ),
        (
            "alonzo", "jamel", "theo", "alphonse", "jerome", "leroy", "darnell", "lamar", "lionel", "tyree", "deion",
            "lamont", "malik", "terrence", "tyrone", "lavon", "marcellus", "wardell",
        ),
    ),
    "female": (
        (
            "amanda", "courtney", "heather", "melanie", "katie", "betsy", "kristin", "nancy", "stephanie", "ellen",
            "lauren", "colleen", "emily", "megan", "rachel",
        ),
        (
            "nichelle", "shereen", "ebony", "latisha", "shaniqua", "jasmine", "tanisha", "tia", "lakisha", "latoya",
            "yolanda", "malika", "yvette", "keisha",
        ),
    ),
}  # fmt: skip
# Last names by how they are perceived in the United States: Garg et al. (arXiv 1711.08412).
GROUPS: Mapping[str, Mapping[str, frozenset[str]]] = {
    "gender": {"female": frozenset(FEMALE.values()), "male": frozenset(FEMALE)},
    "names": {
        "asian": frozenset((
            "cho", "wong", "tang", "huang", "chu", "chung", "ng", "wu", "liu", "chen", "lin", "yang", "kim", "chang",
            "shah", "wang", "li", "khan", "singh", "hong",
        )),
        "hispanic": frozenset((
            "castillo", "gomez", "soto", "gonzalez", "sanchez", "rivera", "martinez", "torres", "rodriguez", "perez",
            "lopez", "medina", "diaz", "garcia", "castro", "cruz",
        )),
        "white": frozenset((
            "harris", "nelson", "robinson", "thompson", "moore", "wright", "anderson", "clark", "jackson", "taylor",
            "scott", "davis", "allen", "adams", "lewis", "williams", "jones", "wilson", "martin", "johnson",
        )),
    },
}  # fmt: skip
OFFENSIVE = frozenset((
    "idiot", "idiots", "stupid", "moron", "morons", "imbecile", "bastard", "bastards", "bitch", "bitches", "whore",
    "whores", "slut", "damn", "crap", "shit", "fuck", "fucking", "asshole", "scum", "retard", "retarded",
))  # fmt: skip
