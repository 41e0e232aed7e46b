"""The dashboard: a page, and what it asks for.

Nothing here changes anything: every route is a GET that only reads, and a rule that the page shows is text to be copied. What a workload may have
written reaches the page as JSON, and the page puts it in as text. The page needs nothing from anywhere else, and all of it is under 200 kB.
"""
