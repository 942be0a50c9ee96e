"""The books: the context of one deployment (database, calendar, base currency, clock), and how a process opens it."""
