"""What the page uses of others: two modules, bundled from packages of npm, whose versions and hashes are in the lock here."""
