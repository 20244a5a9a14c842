"""The database as a server: as whom one connects, what each role may see, and how the tables get where they are."""
