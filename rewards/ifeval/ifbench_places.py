"""The places that two of IFBench's prompts ask for: Europe's northern capitals, Africa's countries.

Names without accents, in small letters, several where English has several. Latitudes in degrees
north. Africa's countries are the 54 members of the United Nations; what is disputed is optional.
"""

from __future__ import annotations

from typing import Final

# Capitals of European countries north of 45°, from north to south.
CAPITALS: Final = {
    "reykjavik": 64.15,
    "helsinki": 60.17,
    "oslo": 59.91,
    "tallinn": 59.44,
    "stockholm": 59.33,
    "riga": 56.95,
    "moscow": 55.76,
    "copenhagen": 55.68,
    "vilnius": 54.69,
    "minsk": 53.90,
    "dublin": 53.35,
    "berlin": 52.52,
    "amsterdam": 52.37,
    "warsaw": 52.23,
    "london": 51.51,
    "astana": 51.17,
    "brussels": 50.85,
    "kyiv": 50.45,
    "prague": 50.08,
    "luxembourg": 49.61,
    "paris": 48.86,
    "vienna": 48.21,
    "bratislava": 48.14,
    "budapest": 47.50,
    "vaduz": 47.14,
    "chisinau": 47.01,
    "bern": 46.95,
    "ljubljana": 46.06,
    "zagreb": 45.81,
}
OPTIONAL_CAPITALS: Final = frozenset({"astana"})  # Kazakhstan lies mostly in Asia
CAPITAL_NAMES: Final = {
    **{"kiev": "kyiv", "luxembourg city": "luxembourg", "berne": "bern"},
    **{"kishinev": "chisinau", "nur-sultan": "astana"},
}
AFRICA: Final = frozenset(
    {
        *("algeria", "angola", "benin", "botswana", "burkina faso", "burundi", "cape verde"),
        *("cameroon", "central african republic", "chad", "comoros", "dr congo", "congo"),
        *("djibouti", "egypt", "equatorial guinea", "eritrea", "eswatini", "ethiopia", "gabon"),
        *("gambia", "ghana", "guinea", "guinea-bissau", "ivory coast", "kenya", "lesotho"),
        *("liberia", "libya", "madagascar", "malawi", "mali", "mauritania", "mauritius"),
        *("morocco", "mozambique", "namibia", "niger", "nigeria", "rwanda"),
        *("sao tome and principe", "senegal", "seychelles", "sierra leone", "somalia"),
        *("south africa", "south sudan", "sudan", "tanzania", "togo", "tunisia", "uganda"),
        *("zambia", "zimbabwe"),
    }
)
OPTIONAL_AFRICA: Final = frozenset({"western sahara", "somaliland"})
AFRICA_NAMES: Final = {
    **dict.fromkeys(
        (
            *("democratic republic of the congo", "democratic republic of congo", "drc"),
            *("congo, democratic republic of the", "congo (democratic republic of the)"),
            *("democratic republic of the congo (drc)", "congo (kinshasa)", "congo-kinshasa"),
            *("congo, democratic republic", "congo (drc)", "d.r. congo", "congo, dr"),
        ),
        "dr congo",
    ),
    **dict.fromkeys(
        (
            *("republic of the congo", "republic of congo", "congo, republic of the"),
            *("congo (brazzaville)", "congo-brazzaville", "congo (republic of the)"),
            *("congo republic", "congo, republic"),
        ),
        "congo",
    ),
    **{"cote d'ivoire": "ivory coast", "cabo verde": "cape verde", "swaziland": "eswatini"},
    **{"eswatini (swaziland)": "eswatini", "cote d'ivoire (ivory coast)": "ivory coast"},
    **{"ivory coast (cote d'ivoire)": "ivory coast", "guinea bissau": "guinea-bissau"},
    **{"sao tome & principe": "sao tome and principe", "gambia, the": "gambia"},
    **{"cabo verde (cape verde)": "cape verde", "cape verde (cabo verde)": "cape verde"},
    **{"sahrawi arab democratic republic": "western sahara", "the gambia": "gambia"},
    **{"eswatini (formerly swaziland)": "eswatini"},
}
