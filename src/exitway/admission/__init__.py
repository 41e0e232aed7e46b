"""The webhooks: rules are refused with the words of ``exitway create``, pods are made ready to be captured.

Its law: what cannot be decided is refused.
"""
