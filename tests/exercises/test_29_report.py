"""The checks of chapter 29 accept what is right and name what is wrong."""

import pytest

from tests.exercises.checks import verdict

CHAPTER = "29_report"


@pytest.mark.parametrize(
    "unseen, said",
    [
        (lambda rows, seen, a, b: (a * rows - b * seen) / (rows - seen), "Right:"),
        (lambda rows, seen, a, b: None, "Not yet"),
        (lambda rows, seen, a, b: (rows * a - seen) / (rows - seen), "use accuracy_seen"),
        (lambda rows, seen, a, b: 2 * a - b, "weigh as much"),
        (lambda rows, seen, a, b: (a * rows - b * seen) / rows, "unseen ones only"),
        (lambda rows, seen, a, b: a, "Count the right rows"),
        (lambda rows: rows, "stopped with TypeError"),
    ],
)
def test_unseen(unseen, said):
    assert said in verdict(CHAPTER, "check_unseen", unseen)


def read(table, over_columns=False, commonest=None, all_classes=False, accuracy=None):
    """Right, unless told to be wrong in one way."""
    rows, total = [sum(row) for row in table], sum(map(sum, table))
    columns = [sum(column) for column in zip(*table, strict=True)]
    right = [table[k][k] for k in range(len(table))]
    under = columns if over_columns else rows
    shares = [r / n if n else 0.0 for r, n in zip(right, under, strict=True)]
    shares = [s for s, n in zip(shares, rows, strict=True) if n or all_classes]
    base = max({None: rows, "columns": columns, "diagonal": right}[commonest]) / total
    return sum(right) / total if accuracy is None else accuracy, base, min(shares)


def by_diagonal(table):
    """The share of the class that is right most often."""
    rows = [sum(row) for row in table]
    best = max(range(len(table)), key=lambda k: table[k][k])
    return rows[best] / sum(rows)


def read_right_ones(table):
    """The lowest accuracy of the classes that are right at all."""
    return min(row[k] / sum(row) for k, row in enumerate(table) if row[k])


def of_the_rarest(table):
    rows = [sum(row) for row in table]
    k = rows.index(min(n for n in rows if n))
    return table[k][k] / rows[k]


def no_care(table):
    """Divides by the sum of each row."""
    shares = [row[k] / sum(row) for k, row in enumerate(table)]
    return (*read(table)[:2], min(shares))


@pytest.mark.parametrize(
    "answer, said",
    [
        (read, "Right:"),
        (lambda table: list(read(table)), "Right:"),
        (lambda table: None, "Not yet"),
        (no_care, "pass it over"),
        (lambda table: read(table, all_classes=True), "pass it over"),
        (lambda table: read(table, over_columns=True), "of what was predicted"),
        (lambda table: read(table, commonest="columns"), "columns are what was predicted"),
        (lambda table: read(table, commonest="diagonal"), "commonest class is right on"),
        (lambda table: read(table, accuracy=0.7), "sum of the diagonal"),
        (lambda table: (*read(table)[:2], 0.9), "diagonal over the sum of its row"),
        (lambda table: 0.82, "stopped with TypeError"),
        (lambda table: (read(table)[0], *read(table)[:0:-1]), "comes second"),
        (lambda table: (*read(table)[:2], read(table)[1]), "diagonal over the sum of its row"),
        (lambda table: read(table) if table[1][1] else [0.5], "stopped with ValueError"),
        (lambda table: (*read(table)[:1], by_diagonal(table), read(table)[2]), "right or not"),
        (lambda table: (*read(table)[:2], read_right_ones(table)), "never right"),
        (lambda table: (*read(table)[:2], of_the_rarest(table)), "The lowest of any class"),
    ],
)
def test_read(answer, said):
    assert said in verdict(CHAPTER, "check_read", answer)


def stop(values, patience, first=True, margin=1.01, late=0):
    """Right, unless told to be wrong in one way."""
    low = min(values)
    at = values.index(low) if first else len(values) - 1 - values[::-1].index(low)
    return len(values) - 1 - at + late >= patience and values[-1] > margin * low


def by(rule, kept=min):
    """What a run misses that stops when the rule says so."""

    def missed(values, patience):
        for n in range(1, len(values) + 1):
            if rule(values[:n], patience):
                return kept(values[:n]) - min(values)
        return 0

    return missed


def lowest_when_it_stops(values, patience):
    return min(values) + by(stop)(values, patience)


def since_the_stop(values, patience):
    """Below 0 where nothing lower comes."""
    for n in range(1, len(values)):
        if stop(values[:n], patience):
            return min(values[:n]) - min(values[n:])
    return 0


def at_the_last_of_all(values, patience):
    for n in range(len(values), 0, -1):
        if stop(values[:n], patience):
            return min(values[:n]) - min(values)
    return 0


@pytest.mark.parametrize(
    "answer, said",
    [
        (by(stop), "Right:"),
        (lambda values, patience: None, "Not yet"),
        (lambda values, patience: 0, "stop, miss 1.5"),
        (lambda values, patience: by(stop, max)(values, patience), "stop, miss 1.5"),
        (lambda values, patience: -by(stop)(values, patience), "Upside down"),
        (lowest_when_it_stops, "is what is kept"),
        (since_the_stop, "nothing lower comes"),
        (at_the_last_of_all, "stops once"),
        (lambda values: 0, "stopped with TypeError"),
        (by(lambda v, p: stop(v, p, late=-1)), "clearly above it: stop"),
        (by(lambda v, p: stop(v, p, late=1)), "Only one"),
        (by(lambda v, p: stop(v, p, margin=1.0)), "noise"),
        (by(lambda v, p: stop(v, p, first=False)), "the first one counts"),
        (
            by(lambda v, p: len(v) - 1 - v.index(min(v)) >= p and v[-1] > min(v) + 0.01),
            "small loss",
        ),
        (by(lambda v, p: stop(v, p, margin=1.05)), "small loss"),
        (by(lambda v, p: stop(v, p, margin=1.004)), "large loss"),
        (by(lambda v, p: stop(v, p, margin=1.018)), "more than one"),
        (by(lambda v, p: stop([*v[:-1], max(v[v.index(min(v)) :])], p)), "not the highest"),
        (by(lambda v, p: len(v) > p and v[-1] > 1.01 * v[-1 - p]), "however long ago"),
        (by(lambda v, p: stop(v, p) and not stop(v, p, late=-1)), "however long ago"),
        (by(lambda v, p: p >= len(v) or stop(v, p)), "The first evaluation of all"),
        (by(lambda v, p: min(v[:-p]) <= min(v[-p:]) and stop(v, p)), "stopped with ValueError"),
    ],
)
def test_missed(answer, said):
    assert said in verdict(CHAPTER, "check_missed", answer)
