"""What was learned, measured: figures, plots, cards, overviews of data.

Arrays and answers in, documents and pictures out.
"""
