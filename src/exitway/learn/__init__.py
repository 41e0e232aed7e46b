"""Which rules: the least that let out what was recorded, as text that people read, and the proof that they do just that. Pure.

Nothing is guessed and nothing is rounded up. What a rule would have to say more of than was seen, is said to be left out, with the reason; it is
learned only by whoever asks for just that. Suffixes that strangers share, verdicts and times come in as arguments.
"""
