"""Names for generated users, from many cultures; a name says nothing about who meets whom."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from recarena.server.datasets.films import Draw, generator

GIVEN_NAMES: dict[str, tuple[str, ...]] = {
    "female": (
        "Aaliyah", "Aiko", "Alice", "Amara", "Ana", "Anjali", "Astrid", "Ayşe", "Beatriz",
        "Camila", "Chiara", "Chloe", "Elena", "Emma", "Esther", "Fatima", "Freya", "Grace",
        "Hana", "Helena", "Ines", "Ingrid", "Isabel", "Jana", "Julia", "Katarina", "Layla",
        "Leila", "Linh", "Lucia", "Mariam", "Marta", "Mei", "Minh Anh", "Nadia", "Naledi",
        "Ngozi", "Nina", "Olga", "Priya", "Rosa", "Sara", "Sofia", "Thandiwe", "Valentina",
        "Wanjiku", "Xiu", "Yuki", "Zainab", "Zofia",
    ),
    "male": (
        "Ahmed", "Alejandro", "Anders", "Arjun", "Bilal", "Carlos", "Chidi", "Chinedu", "Daniel",
        "David", "Diego", "Dmitri", "Emre", "Enzo", "Erik", "Felix", "Gabriel", "Haruto", "Hassan",
        "Henrik", "Hugo", "Ivan", "James", "Javier", "Jin", "João", "Kofi", "Kwame", "Lars", "Liam",
        "Luca", "Mateo", "Mehmet", "Mikhail", "Mohamed", "Nikos", "Noah", "Omar", "Pavel",
        "Rahul", "Rafael", "Samuel", "Sipho", "Stefan", "Tariq", "Tomas", "Viktor", "Wei",
        "Yusuf", "Zoltan",
    ),
    "nonbinary": (
        "Alex", "Amal", "Andrea", "Ariel", "Ash", "Chen", "Dana", "Eden", "Hikaru", "Jamie",
        "Kai", "Kamala", "Kiran", "Lin", "Makoto", "Noor", "Robin", "Sam", "Sasha", "Tal",
        "Temitope", "Uyen",
    ),
}  # fmt: skip
"""Gender -> given names."""

FAMILY_NAMES: tuple[str, ...] = (
    "Smith", "Nguyen", "García", "Wang", "Kim", "Silva", "Müller", "Rossi", "Kumar", "Ivanova",
    "Tanaka", "Hansen", "Martin", "Ali", "Okafor", "Novák", "Kowalska", "Papadopoulos", "Yılmaz",
    "Haddad", "Abara", "Abebe", "Achterberg", "Adeyemi", "Aguilar", "Ahlgren", "Akhtar", "Alvarez",
    "Andersson", "Aoki", "Arslan", "Asante", "Baker", "Banerjee", "Bakker", "Barros", "Bauer",
    "Becker", "Bello", "Benali", "Berg", "Bianchi", "Bondarenko", "Boateng", "Brown", "Bui",
    "Campbell", "Cardoso", "Castillo", "Chanda", "Chang", "Charles", "Chavez", "Cohen", "Colombo",
    "Costa", "Cruz", "Dahl", "Das", "Davies", "de Vries", "Demir", "Desai", "Diallo", "Diaz",
    "Dlamini", "Dubois", "Duarte", "Eriksen", "Esposito", "Evans", "Farah", "Fernando", "Ferrari",
    "Fischer", "Flores", "Fofanah", "Fujita", "Ghosh", "Gomez", "Green", "Gupta", "Hakimi",
    "Hernandez", "Hoang", "Hoffmann", "Horvat", "Huang", "Hughes", "Hussain", "Ibrahim", "Iyer",
    "Jansen", "Johnson", "Jones", "Joshi", "Kamau", "Kang", "Kaplan", "Karlsson", "Kaya", "Keita",
    "Khan", "Kone", "Kovács", "Kruger", "Laine", "Larsen", "Le", "Lee", "Lefebvre", "Levy",
    "Lindholm", "Lopez", "Mahlangu", "Mansour", "Mbeki", "Mehta", "Mendes", "Mensah", "Meyer",
    "Moreau", "Morales", "Moyo", "Murphy", "Mutua", "Nakamura", "Nel", "Nielsen", "O'Brien",
    "Oliveira", "Ortiz", "Osei", "Park", "Patel", "Pereira", "Petrov", "Pham", "Popescu",
    "Rahman", "Ramirez", "Reyes", "Sato", "Schmidt", "Sharma", "Shevchenko", "Singh", "Sokolov",
    "Suzuki", "Takahashi", "Tran", "Traoré", "Vargas", "Virtanen", "Williams", "Wójcik", "Yamamoto",
    "Zhang",
)  # fmt: skip
"""The first ones are drawn the most often, so that people of one name meet."""


def draw_names(genders: list[str], seed: int) -> list[str]:
    """A name for each user; among a few hundred users some names come twice.

    A gender without names of its own gets one of all the names.
    """
    rng = generator(seed, Draw.NAMES)
    users = len(genders)
    column = np.array(genders, dtype=object)
    everyone = [name for names in GIVEN_NAMES.values() for name in names]
    given = np.empty(users, dtype=object)
    for gender in sorted(set(genders)):
        rows = np.flatnonzero(column == gender)
        names = np.array(GIVEN_NAMES.get(gender, everyone), dtype=object)
        given[rows] = names[rng.choice(len(names), len(rows), p=_uneven(len(names)))]
    family = rng.choice(len(FAMILY_NAMES), users, p=_uneven(len(FAMILY_NAMES)))
    return [
        f"{first} {FAMILY_NAMES[last]}"
        for first, last in zip(given.tolist(), family.tolist(), strict=True)
    ]


def _uneven(names: int) -> NDArray[np.float64]:
    weight = 1.0 / (4 + np.arange(names))
    return weight / weight.sum()
