"""`forge publish`: from a built slot to a directory that any web server can serve."""
