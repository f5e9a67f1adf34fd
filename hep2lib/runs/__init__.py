"""One executed book: its parameters, notebooks, publication and site."""
