"""The figures and tables of the book, one module a chapter, and the style they share."""
