"""Made-up names, dates, amounts and numbers in the forms in which papers have them. In: a generator. Out: a string."""

from __future__ import annotations

import random
import string

FIRST = [
    "Ada", "Amir", "Anna", "Ben", "Carla", "Chidi", "Dana", "Elif", "Emma", "Farid", "George", "Grace", "Hana", "Hugo",
    "Ines", "Ivan", "Jack", "Jun", "Kate", "Lena", "Liam", "Lucia", "Maya", "Mei", "Nadia", "Noah", "Olga", "Omar",
    "Paula", "Priya", "Rosa", "Ruth", "Sam", "Sara", "Theo", "Tomas", "Vera", "Yusuf", "Zoe",
]  # fmt: skip
LAST = [
    "Abbott", "Adeyemi", "Baker", "Becker", "Castillo", "Chen", "Clark", "Costa", "Dubois", "Evans", "Fischer",
    "Garcia", "Haddad", "Hughes", "Ito", "Jensen", "Kaur", "Kim", "Kowalski", "Lopez", "Martin", "Meyer", "Moreau",
    "Nguyen", "Novak", "Okafor", "Olsen", "Patel", "Perez", "Quinn", "Rossi", "Sato", "Schmidt", "Silva", "Singh",
    "Turner", "Walker", "Weber", "Young", "Zhang",
]  # fmt: skip
TOWNS = [
    "Ashford", "Bergen", "Burford", "Dalton", "Eastleigh", "Fairview", "Greenfield", "Halden", "Kelso", "Lakeside",
    "Milton", "Newport", "Oakdale", "Preston", "Riverton", "Salem", "Stonebridge", "Thornton", "Weston", "Winslow",
]  # fmt: skip
STREETS = [
    "Bridge", "Church", "Elm", "Garden", "Harbour", "High", "Hill", "King", "Lake", "Maple", "Market", "Mill", "North",
    "Oak", "Park", "Queen", "River", "School", "Station", "West",
]  # fmt: skip
WAYS = ["Street", "Road", "Avenue", "Lane", "Way", "Drive", "Close"]
TRADES = [
    "Market", "Grocers", "Foods", "Bakery", "Hardware", "Books", "Pharmacy", "Cafe", "Stores", "Supplies", "Garage",
    "Florist", "Electrical", "Tools", "Deli", "Bistro", "Sports", "Garden Centre", "Stationers", "Clinic",
]  # fmt: skip
MONTHS = [
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
]  # fmt: skip
PHONES = (
    "({}{}{}) {}{}{}-{}{}{}{}", "0{}{}{} {}{}{} {}{}{}{}", "+44 {}{} {}{}{}{} {}{}{}{}", "{}{}{}-{}{}{}-{}{}{}{}",
)  # fmt: skip
SIGNS = ("$", "£", "€", "", "", "")


def person(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def company(rng: random.Random) -> str:
    partners = rng.choice(LAST), rng.choice(TOWNS), f"{rng.choice(LAST)} & {rng.choice((*LAST, 'Sons', 'Co'))}"
    name = rng.choice(partners)
    return f"{name} {rng.choice(TRADES)}"


def street(rng: random.Random) -> str:
    return f"{rng.randint(1, 240)} {rng.choice(STREETS)} {rng.choice(WAYS)}"


def date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randrange(12), rng.randint(1998, 2026)
    name = MONTHS[month]
    forms = (
        f"{day} {name} {year}", f"{name} {day}, {year}", f"{day:02}/{month + 1:02}/{year}",
        f"{year}-{month + 1:02}-{day:02}", f"{day:02}.{month + 1:02}.{year}", f"{day} {name[:3]} {year}",
        f"{month + 1:02}/{day:02}/{year % 100:02}",
    )  # fmt: skip
    return rng.choice(forms)


def time(rng: random.Random) -> str:
    hour, minute = rng.randint(7, 21), rng.randrange(60)
    half = f"{(hour - 1) % 12 + 1}:{minute:02} {'am' if hour < 12 else 'pm'}"
    return rng.choice((f"{hour}:{minute:02}", f"{hour:02}:{minute:02}", half))


def phone(rng: random.Random) -> str:
    digits = [str(rng.randrange(10)) for _ in range(10)]
    return rng.choice(PHONES).format(*digits)


def email(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)}.{rng.choice(LAST)}@{rng.choice(TOWNS)}.{rng.choice(('com', 'org', 'net'))}".lower()


def number(rng: random.Random) -> str:
    digits = "".join(rng.choices(string.digits, k=rng.randint(4, 9)))
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 3)))
    yearly = f"{rng.randint(2015, 2026)}/{digits[:4]}"
    return rng.choice(
        (digits, digits, f"{letters}{digits}", f"{letters}-{digits}", f"{digits[:3]}-{digits[3:]}", yearly)
    )


def money(value: float, sign: str) -> str:
    return f"{sign}{value:,.2f}"
