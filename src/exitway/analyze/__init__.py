"""What is wrong with rules that are valid, and what is risky. Pure: rules in, findings out.

What only somebody else knows is an argument (:mod:`.facts`): the time, when rules were used, what runs, what DNS says. Whether a rule changes
anything is asked of :func:`~exitway.policy.decide.decide`, never of the rule's text.
"""
