"""What a change of rules opens, closes, and sends out otherwise: in meaning, with a call for each that shows it. Pure.

``merge.differences`` is the answer. It looks at each destination that a rule names (``parts``, ``port``), cuts what can be said there into
cells within which rules cannot tell calls apart (``grid``, ``labels``), has both sides decide one call of each (``find``, ``side``), and tells
what it found in few words (``told``, ``report``, ``wire``).
"""
