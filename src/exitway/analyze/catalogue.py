"""How severe each finding is. What it is about stands with all other codes in :mod:`exitway.resources.catalogue`, more in ``docs/findings``."""

from __future__ import annotations

from exitway.analyze.finding import Finding, Severity
from exitway.names.key import Key

AREA = "20"
"""Of the codes of findings."""

SEVERITIES = {
    "EXW2001": Severity.ERROR,
    "EXW2002": Severity.WARNING,
    "EXW2003": Severity.WARNING,
    "EXW2004": Severity.WARNING,
    "EXW2005": Severity.INFO,
    "EXW2006": Severity.ERROR,
    "EXW2007": Severity.INFO,
    "EXW2010": Severity.ERROR,
    "EXW2011": Severity.ERROR,
    "EXW2012": Severity.WARNING,
    "EXW2013": Severity.WARNING,
    "EXW2014": Severity.WARNING,
    "EXW2015": Severity.WARNING,
    "EXW2016": Severity.ERROR,
    "EXW2017": Severity.WARNING,
    "EXW2018": Severity.ERROR,
    "EXW2019": Severity.INFO,
    "EXW2020": Severity.INFO,
    "EXW2030": Severity.WARNING,
    "EXW2031": Severity.WARNING,
    "EXW2032": Severity.WARNING,
    "EXW2033": Severity.INFO,
    "EXW2040": Severity.ERROR,
    "EXW2041": Severity.WARNING,
    "EXW2042": Severity.WARNING,
    "EXW2043": Severity.WARNING,
    "EXW2044": Severity.WARNING,
    "EXW2045": Severity.WARNING,
    "EXW2046": Severity.INFO,
    "EXW2050": Severity.WARNING,
    "EXW2060": Severity.WARNING,
    "EXW2061": Severity.INFO,
    "EXW2062": Severity.WARNING,
    "EXW2063": Severity.INFO,
}


def found(code: str, about: Key | str, message: str, hint: str, field: str = "") -> Finding:
    """A finding, as severe as its code is."""
    return Finding(code, SEVERITIES[code], about, message, hint, field)
