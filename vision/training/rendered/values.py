"""Names, dates, amounts and numbers as they stand on people's papers. Made up."""

from __future__ import annotations

import random
import string

FIRST = ["Ada", "Amir", "Anna", "Ben", "Carla", "Chidi", "Dana", "Elif", "Emma", "Farid", "George", "Grace", "Hana", "Hugo", "Ines", "Ivan", "Jack", "Jun", "Kate", "Lena", "Liam", "Lucia", "Maya", "Mei", "Nadia", "Noah", "Olga", "Omar", "Paula", "Priya", "Rosa", "Ruth", "Sam", "Sara", "Theo", "Tomas", "Vera", "Yusuf", "Zoe"]
LAST = ["Abbott", "Adeyemi", "Baker", "Becker", "Castillo", "Chen", "Clark", "Costa", "Dubois", "Evans", "Fischer", "Garcia", "Haddad", "Hughes", "Ito", "Jensen", "Kaur", "Kim", "Kowalski", "Lopez", "Martin", "Meyer", "Moreau", "Nguyen", "Novak", "Okafor", "Olsen", "Patel", "Perez", "Quinn", "Rossi", "Sato", "Schmidt", "Silva", "Singh", "Turner", "Walker", "Weber", "Young", "Zhang"]
TOWNS = ["Ashford", "Bergen", "Burford", "Dalton", "Eastleigh", "Fairview", "Greenfield", "Halden", "Kelso", "Lakeside", "Milton", "Newport", "Oakdale", "Preston", "Riverton", "Salem", "Stonebridge", "Thornton", "Weston", "Winslow"]
STREETS = ["Bridge", "Church", "Elm", "Garden", "Harbour", "High", "Hill", "King", "Lake", "Maple", "Market", "Mill", "North", "Oak", "Park", "Queen", "River", "School", "Station", "West"]
WAYS = ["Street", "Road", "Avenue", "Lane", "Way", "Drive", "Close"]
TRADES = ["Market", "Grocers", "Foods", "Bakery", "Hardware", "Books", "Pharmacy", "Cafe", "Stores", "Supplies", "Garage", "Florist", "Electrical", "Tools", "Deli", "Bistro", "Sports", "Garden Centre", "Stationers", "Clinic"]
MONTHS = ["January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"]
SIGNS = ("$", "£", "€", "", "", "")


def person(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def company(rng: random.Random) -> str:
    name = rng.choice((rng.choice(LAST), rng.choice(TOWNS), f"{rng.choice(LAST)} & {rng.choice((*LAST, 'Sons', 'Co'))}"))
    return f"{name} {rng.choice(TRADES)}"


def street(rng: random.Random) -> str:
    return f"{rng.randint(1, 240)} {rng.choice(STREETS)} {rng.choice(WAYS)}"


def date(rng: random.Random) -> str:
    day, month, year = rng.randint(1, 28), rng.randrange(12), rng.randint(1998, 2026)
    name = MONTHS[month]
    forms = (f"{day} {name} {year}", f"{name} {day}, {year}", f"{day:02}/{month + 1:02}/{year}", f"{year}-{month + 1:02}-{day:02}", f"{day:02}.{month + 1:02}.{year}", f"{day} {name[:3]} {year}", f"{month + 1:02}/{day:02}/{year % 100:02}")
    return rng.choice(forms)


def time(rng: random.Random) -> str:
    hour, minute = rng.randint(7, 21), rng.randrange(60)
    return rng.choice((f"{hour}:{minute:02}", f"{hour:02}:{minute:02}", f"{(hour - 1) % 12 + 1}:{minute:02} {'am' if hour < 12 else 'pm'}"))


def phone(rng: random.Random) -> str:
    digits = [str(rng.randrange(10)) for _ in range(10)]
    return rng.choice(("({}{}{}) {}{}{}-{}{}{}{}", "0{}{}{} {}{}{} {}{}{}{}", "+44 {}{} {}{}{}{} {}{}{}{}", "{}{}{}-{}{}{}-{}{}{}{}")).format(*digits)


def email(rng: random.Random) -> str:
    return f"{rng.choice(FIRST)}.{rng.choice(LAST)}@{rng.choice(TOWNS)}.{rng.choice(('com', 'org', 'net'))}".lower()


def number(rng: random.Random) -> str:
    digits = "".join(rng.choices(string.digits, k=rng.randint(4, 9)))
    letters = "".join(rng.choices(string.ascii_uppercase, k=rng.randint(1, 3)))
    return rng.choice((digits, digits, f"{letters}{digits}", f"{letters}-{digits}", f"{digits[:3]}-{digits[3:]}", f"{rng.randint(2015, 2026)}/{digits[:4]}"))


def money(value: float, sign: str) -> str:
    return f"{sign}{value:,.2f}"
