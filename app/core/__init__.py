"""What every package may use: settings, errors, periods, ids, logs. It knows no framework and no database."""
