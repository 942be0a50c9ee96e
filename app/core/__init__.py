"""What every package may use: settings, errors, periods, ids, logs. Imports no web framework and no database."""
