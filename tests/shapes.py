"""How the tests check the package's signatures: shapes and types, an int where a float may be."""

from beartype import BeartypeConf, beartype

check = beartype(conf=BeartypeConf(is_pep484_tower=True))
