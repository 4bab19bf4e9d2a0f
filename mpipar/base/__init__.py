"""What everything stands on: errors, exit codes, words, the list of drivers."""
