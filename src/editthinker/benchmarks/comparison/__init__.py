"""The page of a comparison: one HTML file with tables, curves and images.

In: an `Against` and the two runs it is about. Out: a file that needs nothing but a browser. It measures
nothing and asks nobody.

    page        the document: head, verdict, small print
    sections    where the difference is, and at what price
    plot        curves and bars as inline SVG
    gallery     the samples that differ most, their images made small
    pairs       how the page shows them
    words       names and numbers
"""
