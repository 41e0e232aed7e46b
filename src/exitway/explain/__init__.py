"""Why: the verdict on a call, the way it takes through the proxy, what is near it, and what would change it. Pure.

Nothing here has an opinion of its own: ``policy.decide`` says whether, ``envoy.simulate`` which way, and where the two disagree that is said.
``suites`` tries expectations of rules, ``differences`` says what a change of rules opens and closes.
What needs a clock, a resolver or a file gets what came of it as an argument.
"""
