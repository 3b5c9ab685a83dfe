"""The comparison: other servers, what is measured of each, and the table that it makes."""
